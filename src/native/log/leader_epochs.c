#include "log/leader_epochs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 0, LINE_BYTES = 40 };

void pl_epochs_free(struct pl_epochs *epochs) {
    free(epochs->entries);
    *epochs = (struct pl_epochs){0};
}

int32_t pl_epochs_latest(const struct pl_epochs *epochs) {
    return epochs->count == 0 ? -1 : epochs->entries[epochs->count - 1].epoch;
}

enum pl_err pl_epochs_add(struct pl_epochs *epochs, int32_t epoch, int64_t start_offset) {
    if (epoch <= pl_epochs_latest(epochs)) {
        return PL_OK;
    }
    if (epochs->count == epochs->room) {
        uint32_t room = epochs->room == 0 ? 2 : epochs->room * 2;
        struct pl_epoch *entries = realloc(epochs->entries, room * sizeof *entries);
        if (entries == NULL) {
            return PL_ERR_MEMORY;
        }
        epochs->entries = entries;
        epochs->room = room;
    }
    pl_epochs_cut_end(epochs, start_offset);
    epochs->entries[epochs->count++] = (struct pl_epoch){epoch, start_offset};
    epochs->changed = true;
    return PL_OK;
}

void pl_epochs_cut_end(struct pl_epochs *epochs, int64_t end_offset) {
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start_offset >= end_offset) {
        epochs->count--;
        epochs->changed = true;
    }
}

void pl_epochs_cut_start(struct pl_epochs *epochs, int64_t start_offset) {
    uint32_t gone = 0;
    while (gone + 1 < epochs->count && epochs->entries[gone + 1].start_offset <= start_offset) {
        gone++;
    }
    if (gone > 0) {
        epochs->count -= gone;
        memmove(epochs->entries, epochs->entries + gone, epochs->count * sizeof *epochs->entries);
        epochs->changed = true;
    }
    if (epochs->count > 0 && epochs->entries[0].start_offset < start_offset) {
        epochs->entries[0].start_offset = start_offset;
        epochs->changed = true;
    }
}

/* Index of the first entry with a higher epoch. */
static uint32_t first_above(const struct pl_epochs *epochs, int32_t epoch) {
    uint32_t i = epochs->count;
    while (i > 0 && epochs->entries[i - 1].epoch > epoch) {
        i--;
    }
    return i;
}

void pl_epochs_end(const struct pl_epochs *epochs, int32_t epoch, int64_t log_end, int32_t *found,
                   int64_t *end_offset) {
    uint32_t above = first_above(epochs, epoch);
    bool is_latest = above == epochs->count;
    if (epoch < 0 || (is_latest && epoch != pl_epochs_latest(epochs))) {
        *found = -1;
        *end_offset = -1;
        return;
    }
    *found = above == 0 ? epoch : epochs->entries[above - 1].epoch;
    *end_offset = is_latest ? log_end : epochs->entries[above].start_offset;
}

int32_t pl_epochs_of(const struct pl_epochs *epochs, int64_t offset) {
    for (uint32_t i = epochs->count; i > 0; i--) {
        if (epochs->entries[i - 1].start_offset <= offset) {
            return epochs->entries[i - 1].epoch;
        }
    }
    return -1;
}

enum pl_err pl_epochs_encode(const struct pl_epochs *epochs, char **text, size_t *n) {
    size_t room = ((size_t)epochs->count + 2) * LINE_BYTES;
    char *made = malloc(room);
    if (made == NULL) {
        return PL_ERR_MEMORY;
    }
    size_t used = (size_t)snprintf(made, room, "%d\n%" PRIu32 "\n", VERSION, epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++) {
        used += (size_t)snprintf(made + used, room - used, "%" PRId32 " %" PRId64 "\n",
                                 epochs->entries[i].epoch, epochs->entries[i].start_offset);
    }
    *text = made;
    *n = used;
    return PL_OK;
}

struct text {
    const char *next, *end;
};

/* One decimal number without a sign and the separator after it. */
static bool read_number(struct text *text, char separator, int64_t *number) {
    int64_t value = 0;
    const char *first = text->next;
    while (text->next < text->end && *text->next >= '0' && *text->next <= '9') {
        int digit = *text->next++ - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (text->next == first || text->next == text->end || *text->next != separator) {
        return false;
    }
    text->next++;
    *number = value;
    return true;
}

static enum pl_err decode_entries(struct pl_epochs *epochs, struct text *text) {
    int64_t version, count, epoch, start_offset;
    if (!read_number(text, '\n', &version) || version != VERSION ||
        !read_number(text, '\n', &count)) {
        return PL_ERR_CORRUPT;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!read_number(text, ' ', &epoch) || !read_number(text, '\n', &start_offset) ||
            epoch > INT32_MAX || epoch <= pl_epochs_latest(epochs)) {
            return PL_ERR_CORRUPT;
        }
        if (epochs->count > 0 && start_offset < epochs->entries[epochs->count - 1].start_offset) {
            return PL_ERR_CORRUPT;
        }
        enum pl_err err = pl_epochs_add(epochs, (int32_t)epoch, start_offset);
        if (err != PL_OK) {
            return err;
        }
    }
    return text->next == text->end ? PL_OK : PL_ERR_CORRUPT;
}

enum pl_err pl_epochs_decode(struct pl_epochs *epochs, const char *text, size_t n) {
    struct text rest = {text, text + n};
    enum pl_err err = decode_entries(epochs, &rest);
    if (err != PL_OK) {
        epochs->count = 0;
    }
    epochs->changed = false;
    return err;
}
