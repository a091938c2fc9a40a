/* Aborted transactions for readers of committed records (KIP-98). */
#include "log/log_state.h"

struct search {
    int64_t from, to;
    struct pl_aborted *aborted;
    size_t room, found;
    bool complete; /* an entry says that all later ones began at or above `to` */
};

static enum pl_err search_segment(const struct pl_segment *segment, struct search *search) {
    uint32_t count = pl_entry_file_count(&segment->txns);
    if (count == 0) {
        return PL_OK;
    }
    char path[PL_PATH_BYTES];
    pl_segment_path(segment, PL_FILE_TXN_INDEX, path);
    struct pl_entry_reader reader;
    pl_entry_reader_open(&reader, &segment->txns, segment->store->fs, path);
    enum pl_err err = PL_OK;
    for (uint32_t i = 0; i < count && err == PL_OK && !search->complete; i++) {
        struct pl_txn_entry entry;
        err = pl_segment_read_aborted(&reader, i, &entry);
        if (err != PL_OK) {
            break;
        }
        if (entry.last_offset >= search->from && entry.first_offset < search->to) {
            if (search->found < search->room) {
                search->aborted[search->found] =
                    (struct pl_aborted){entry.producer_id, entry.first_offset};
            }
            search->found++;
        }
        search->complete = entry.last_stable_offset >= search->to;
    }
    pl_entry_reader_close(&reader);
    return err;
}

enum pl_err pl_log_aborted(struct pl_log *log, int64_t from, int64_t to, struct pl_aborted *aborted,
                           size_t *count) {
    struct search search = {.from = from, .to = to, .aborted = aborted, .room = *count};
    int32_t first = pl_log_floor(log, from);
    enum pl_err err = PL_OK;
    for (int32_t i = first < 0 ? 0 : first; i < log->segment_count && err == PL_OK; i++) {
        if (search.complete) {
            break;
        }
        err = search_segment(log->segments[i], &search);
    }
    *count = search.found;
    return err;
}
