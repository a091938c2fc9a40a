/* Names of the files of a log's folder, as Kafka forms them: twenty digits of the base offset
 * and a kind; .deleted, .cleaned or .swap after that while a file leaves or enters the log.
 */
#ifndef PYLOG_LOG_FILE_NAME_H
#define PYLOG_LOG_FILE_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum pl_file_kind {
    PL_FILE_LOG,
    PL_FILE_OFFSET_INDEX,
    PL_FILE_TIME_INDEX,
    PL_FILE_TXN_INDEX,
    PL_FILE_SNAPSHOT, /* producer state below its offset */
    PL_FILE_KINDS
};

enum pl_file_phase {
    PL_PHASE_LIVE,
    PL_PHASE_DELETED, /* waits to be unlinked */
    PL_PHASE_CLEANED, /* being written by compaction: worthless after a crash */
    PL_PHASE_SWAP,    /* written and flushed by compaction: takes its place after a crash */
    PL_PHASES
};

enum { PL_PATH_BYTES = 4096, PL_FOLDER_MAX_BYTES = PL_PATH_BYTES - 64 };

/* `to` has room for PL_PATH_BYTES; folder is at most PL_FOLDER_MAX_BYTES long. */
void pl_file_path(char *to, const char *folder, int64_t base_offset, enum pl_file_kind kind,
                  enum pl_file_phase phase);
void pl_path_join(char *to, const char *folder, const char *name);
void pl_path_parent(char *to, const char *folder);

struct pl_file_name {
    int64_t base_offset;
    enum pl_file_kind kind;
    enum pl_file_phase phase;
};
/* False for every name that is not one of ours. */
bool pl_file_name_parse(const char *name, struct pl_file_name *parsed);

#endif
