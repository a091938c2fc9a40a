/* Indexes and times: found by time, rebuilt as they were written, healed when damaged. */
#include "test/log_kit.h"

#include "log/file_name.h"

static void lock_nothing(void *owner) {
    (void)owner;
}

static const struct pl_lock no_lock = {NULL, lock_nothing, lock_nothing};

static struct pl_time_offset at_time(struct kit *kit, int64_t timestamp_ms, int64_t bound) {
    struct pl_time_offset found;
    CHECK_OK(pl_log_find_time(kit->log, &no_lock, timestamp_ms, bound, &found));
    return found;
}

static struct pl_time_offset max_time(struct kit *kit, int64_t bound) {
    struct pl_time_offset found;
    CHECK_OK(pl_log_find_max_time(kit->log, &no_lock, bound, &found));
    return found;
}

/* Records 10 ms apart, three a batch with one time each, some out of order. */
static void fill(struct kit *kit, int batches) {
    for (int i = 0; i < batches; i++) {
        int64_t time_ms = 1000 + i * 10 - (i % 5 == 4 ? 25 : 0);
        kit_append(kit, (struct kit_batch){.records = 3,
                                           .timestamp_ms = time_ms,
                                           .compression = (enum pl_compression)(i % 5)});
    }
}

static int64_t time_of(int64_t offset) {
    int64_t i = offset / 3;
    return 1000 + i * 10 - (i % 5 == 4 ? 25 : 0);
}

static struct kit *filled(int batches) {
    struct kit *kit = kit_begin();
    kit->config.segment_bytes = 3000;
    kit->config.index_interval_bytes = 300;
    kit_open(kit, false);
    fill(kit, batches);
    return kit;
}

static void the_first_record_at_or_after_a_time_is_found(void) {
    struct kit *kit = filled(200);
    int64_t end = kit_offsets(kit).log_end;
    for (int64_t time_ms = 900; time_ms < 3100; time_ms += 7) {
        int64_t expected = -1;
        for (int64_t offset = 0; offset < end && expected < 0; offset++) {
            expected = time_of(offset) >= time_ms ? offset : -1;
        }
        struct pl_time_offset found = at_time(kit, time_ms, end);
        CHECK_EQ(found.offset, expected);
        if (expected >= 0) {
            CHECK_EQ(found.timestamp_ms, time_of(expected));
        }
    }
    kit_end(kit);
}

static void nothing_is_found_outside_start_and_bound(void) {
    struct kit *kit = filled(200);
    int64_t end = kit_offsets(kit).log_end;
    CHECK_EQ(at_time(kit, time_of(300), 300).offset, -1);
    CHECK_EQ(at_time(kit, time_of(300), 301).offset, 300);
    CHECK_OK(pl_log_advance_start(kit->log, 400));
    CHECK_EQ(at_time(kit, 0, end).offset, 400);
    CHECK_EQ(at_time(kit, 1 << 30, end).offset, -1);
    kit_end(kit);
}

static void the_highest_time_below_a_bound_is_found(void) {
    struct kit *kit = filled(200);
    int64_t end = kit_offsets(kit).log_end;
    for (int64_t bound = 3; bound <= end; bound += 3) {
        int64_t best = 0;
        for (int64_t offset = 0; offset < bound; offset++) {
            best = time_of(offset) > time_of(best) ? offset : best;
        }
        struct pl_time_offset found = max_time(kit, bound);
        CHECK_EQ(found.timestamp_ms, time_of(best));
        CHECK_EQ(found.offset, best);
    }
    CHECK_EQ(max_time(kit, 0).offset, -1);
    kit_end(kit);
}

/* ---- files ---- */

struct file {
    uint8_t bytes[65536];
    size_t n;
    bool exists;
};

static void read_file(const struct kit *kit, int64_t base_offset, enum pl_file_kind kind,
                      struct file *file) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, kit->folder, base_offset, kind, PL_PHASE_LIVE);
    FILE *stream = fopen(path, "rb");
    file->exists = stream != NULL;
    file->n = 0;
    if (stream != NULL) {
        file->n = fread(file->bytes, 1, sizeof file->bytes, stream);
        fclose(stream);
    }
}

enum { MAX_BASES = 64 };

struct bases {
    int64_t all[MAX_BASES];
    int count;
};

static enum pl_err collect_base(void *argument, const char *name) {
    struct bases *bases = argument;
    struct pl_file_name parsed;
    if (pl_file_name_parse(name, &parsed) && parsed.kind == PL_FILE_LOG) {
        CHECK(bases->count < MAX_BASES);
        bases->all[bases->count++] = parsed.base_offset;
    }
    return PL_OK;
}

static struct bases bases_of(const struct kit *kit) {
    struct bases bases = {.count = 0};
    CHECK_OK(pl_fs_real.list(NULL, kit->folder, collect_base, &bases));
    CHECK(bases.count > 3);
    return bases;
}

static void an_index_rebuilt_equals_the_index_written(void) {
    struct kit *kit = filled(100);
    for (int i = 0; i < 30; i++) {
        kit_append(kit, (struct kit_batch){.producer_id = 5, .sequence = i, .transactional = true});
        kit_marker(kit, 5, 0, i % 3 == 0);
    }
    kit_close(kit);
    struct bases bases = bases_of(kit);
    static struct file before[MAX_BASES][PL_FILE_KINDS];
    for (int i = 0; i < bases.count; i++) {
        for (int kind = 0; kind < PL_FILE_KINDS; kind++) {
            read_file(kit, bases.all[i], (enum pl_file_kind)kind, &before[i][kind]);
        }
    }
    kit_open(kit, false); /* scans all, writes all indexes anew */
    CHECK_EQ(kit->recovered.segments_scanned, bases.count);
    kit_close(kit);
    static struct file after;
    for (int i = 0; i < bases.count; i++) {
        for (int kind = 0; kind < PL_FILE_KINDS; kind++) {
            read_file(kit, bases.all[i], (enum pl_file_kind)kind, &after);
            CHECK_EQ(after.exists, before[i][kind].exists);
            CHECK_EQ(after.n, before[i][kind].n);
            CHECK_BYTES(after.bytes, before[i][kind].bytes, after.n);
        }
    }
    kit_end(kit);
}

static void spoil(const struct kit *kit, int64_t base_offset, enum pl_file_kind kind, int how) {
    char path[PL_PATH_BYTES];
    pl_file_path(path, kit->folder, base_offset, kind, PL_PHASE_LIVE);
    if (how == 0) {
        CHECK(unlink(path) == 0 || kind == PL_FILE_TXN_INDEX);
    } else if (access(path, F_OK) == 0) {
        FILE *file = fopen(path, "ab");
        CHECK(file != NULL);
        CHECK(fputs("torn", file) >= 0);
        CHECK_EQ(fclose(file), 0);
    }
}

static void damaged_and_missing_indexes_are_made_anew(void) {
    for (int kind = PL_FILE_OFFSET_INDEX; kind <= PL_FILE_TXN_INDEX; kind++) {
        for (int how = 0; how < (kind == PL_FILE_TXN_INDEX ? 0 : 2); how++) {
            struct kit *kit = filled(100);
            int64_t end = kit_offsets(kit).log_end;
            kit_close(kit);
            struct bases bases = bases_of(kit);
            for (int i = 0; i < bases.count; i++) {
                spoil(kit, bases.all[i], (enum pl_file_kind)kind, how);
            }
            kit_open(kit, true);
            CHECK_EQ(kit_offsets(kit).log_end, end);
            CHECK_EQ(kit_read(kit, 0, end, 700), end);
            for (int64_t offset = 0; offset < end; offset += 13) {
                CHECK_EQ(kit_read(kit, offset, offset - offset % 3 + 3, 1), 3);
            }
            CHECK_EQ(at_time(kit, 1500, end).offset, 150);
            kit_end(kit);
        }
    }
}

static void a_flipped_bit_is_cut_off_and_told(void) {
    struct kit *kit = filled(100);
    kit_close(kit);
    struct bases bases = bases_of(kit);
    int64_t middle = bases.all[bases.count / 2];
    char path[PL_PATH_BYTES];
    pl_file_path(path, kit->folder, middle, PL_FILE_LOG, PL_PHASE_LIVE);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 2000, SEEK_SET), 0);
    int byte = fgetc(file);
    CHECK_EQ(fseek(file, 2000, SEEK_SET), 0);
    CHECK(fputc(byte ^ 4, file) != EOF);
    CHECK_EQ(fclose(file), 0);
    kit->recovery_point = 10000;
    kit_open(kit, false); /* the last segment alone is not trusted */
    CHECK_EQ(kit->recovered.bytes_cut, 0);
    kit_close(kit);
    kit->recovery_point = 0;
    kit_open(kit, false);
    CHECK(kit->recovered.bytes_cut > 0);
    CHECK(kit->recovered.segments_removed > 0);
    int64_t end = kit_offsets(kit).log_end;
    CHECK_EQ(kit->recovered.first_cut_offset, end);
    CHECK(end > middle);
    CHECK_EQ(kit_read(kit, 0, end, 100000), end);
    CHECK_EQ(kit_append(kit, (struct kit_batch){0}), end);
    kit_end(kit);
}

static void a_torn_last_batch_is_cut_off_even_after_a_clean_shutdown(void) {
    struct kit *kit = filled(20);
    int64_t end = kit_offsets(kit).log_end;
    kit_close(kit);
    struct bases bases = {.count = 0};
    CHECK_OK(pl_fs_real.list(NULL, kit->folder, collect_base, &bases));
    int64_t last = 0;
    for (int i = 0; i < bases.count; i++) {
        last = bases.all[i] > last ? bases.all[i] : last;
    }
    spoil(kit, last, PL_FILE_LOG, 1);
    kit_open(kit, true);
    CHECK_EQ(kit->recovered.bytes_cut, 4);
    CHECK_EQ(kit_offsets(kit).log_end, end);
    CHECK_EQ(kit_read(kit, 0, end, 5000), end);
    kit_end(kit);
}

int main(void) {
    RUN(the_first_record_at_or_after_a_time_is_found);
    RUN(nothing_is_found_outside_start_and_bound);
    RUN(the_highest_time_below_a_bound_is_found);
    RUN(an_index_rebuilt_equals_the_index_written);
    RUN(damaged_and_missing_indexes_are_made_anew);
    RUN(a_flipped_bit_is_cut_off_and_told);
    RUN(a_torn_last_batch_is_cut_off_even_after_a_clean_shutdown);
    return check_end();
}
