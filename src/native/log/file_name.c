#include "log/file_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OFFSET_DIGITS = 20 };

static const char *const kind_suffix[PL_FILE_KINDS] = {
    [PL_FILE_LOG] = ".log",
    [PL_FILE_OFFSET_INDEX] = ".index",
    [PL_FILE_TIME_INDEX] = ".timeindex",
    [PL_FILE_TXN_INDEX] = ".txnindex",
    [PL_FILE_SNAPSHOT] = ".snapshot",
};

static const char *const phase_suffix[PL_PHASES] = {
    [PL_PHASE_LIVE] = "",
    [PL_PHASE_DELETED] = ".deleted",
    [PL_PHASE_CLEANED] = ".cleaned",
    [PL_PHASE_SWAP] = ".swap",
};

void pl_file_path(char *to, const char *folder, int64_t base_offset, enum pl_file_kind kind,
                  enum pl_file_phase phase) {
    (void)snprintf(to, PL_PATH_BYTES, "%.*s/%0*" PRId64 "%s%s", PL_FOLDER_MAX_BYTES, folder,
                   OFFSET_DIGITS, base_offset, kind_suffix[kind], phase_suffix[phase]);
}

void pl_path_join(char *to, const char *folder, const char *name) {
    (void)snprintf(to, PL_PATH_BYTES, "%.*s/%s", PL_FOLDER_MAX_BYTES, folder, name);
}

void pl_path_parent(char *to, const char *folder) {
    const char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)snprintf(to, PL_PATH_BYTES, ".");
    } else {
        (void)snprintf(to, PL_PATH_BYTES, "%.*s", slash == folder ? 1 : (int)(slash - folder),
                       folder);
    }
}

static bool parse_offset(const char *name, int64_t *offset) {
    uint64_t value = 0;
    for (int i = 0; i < OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return false;
        }
        unsigned digit = (unsigned)(name[i] - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *offset = (int64_t)value;
    return true;
}

bool pl_file_name_parse(const char *name, struct pl_file_name *parsed) {
    if (strlen(name) <= OFFSET_DIGITS || !parse_offset(name, &parsed->base_offset)) {
        return false;
    }
    const char *rest = name + OFFSET_DIGITS;
    for (int kind = 0; kind < PL_FILE_KINDS; kind++) {
        size_t n = strlen(kind_suffix[kind]);
        if (strncmp(rest, kind_suffix[kind], n) != 0) {
            continue;
        }
        for (int phase = 0; phase < PL_PHASES; phase++) {
            if (strcmp(rest + n, phase_suffix[phase]) != 0) {
                continue;
            }
            parsed->kind = (enum pl_file_kind)kind;
            parsed->phase = (enum pl_file_phase)phase;
            return true;
        }
    }
    return false;
}
