/* A sound log of several segments, one of whose other files (indexes, snapshots, epochs) is of any
 * bytes: opened, looked into, compacted and closed. Indexes are what points into a log: whatever
 * they say, batches come in order, whole, and no other than those that were written. The first
 * byte chooses the file, the second how the log is opened. */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "test/log_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BATCHES = 24, MAX_FILES = 64 };

static void configure(struct kit *kit) {
    kit->config.segment_bytes = 800;
    kit->config.index_interval_bytes = 1;
    kit->config.compact_policy = true;
    kit->config.min_cleanable_dirty_ratio = 0;
}

static void write_log(struct kit *kit) {
    kit_open(kit, false);
    int32_t sequences[2] = {0};
    for (int i = 0; i < BATCHES; i++) {
        int64_t producer = i % 4 == 3 ? 0 : 1 + i % 2;
        struct kit_batch batch = {.key = i % 3 == 0 ? "a" : "b",
                                  .producer_id = producer,
                                  .sequence = producer == 0 ? 0 : sequences[producer - 1]++,
                                  .transactional = producer == 2,
                                  .timestamp_ms = kit->now.wall_ms + 10 * i};
        kit_append(kit, batch);
        if (producer == 2) {
            kit_marker(kit, 2, 0, i % 4 == 1);
        }
    }
    kit_close(kit);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Puts the bytes in the place of one of the files that are no segment. */
static void spoil(const struct kit *kit, uint8_t choice, const uint8_t *data, size_t size) {
    char names[MAX_FILES][64];
    size_t count = 0;
    DIR *folder = opendir(kit->folder);
    assert(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name);
        bool is_log = length > 4 && strcmp(entry->d_name + length - 4, ".log") == 0;
        if (entry->d_name[0] != '.' && !is_log && length < sizeof names[0] && count < MAX_FILES) {
            memcpy(names[count++], entry->d_name, length + 1);
        }
    }
    assert(closedir(folder) == 0 && count > 0);
    qsort(names, count, sizeof names[0], compare_names);
    char path[200];
    snprintf(path, sizeof path, "%s/%s", kit->folder, names[choice % count]);
    int fd = open(path, O_TRUNC | O_WRONLY);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

/* Every batch from the start to the end, in order. */
static void read_all(struct kit *kit) {
    struct pl_log_offsets offsets = kit_offsets(kit);
    for (int64_t offset = offsets.log_start; offset < offsets.log_end;) {
        struct pl_slice slice;
        if (pl_log_locate(kit->log, offset, offsets.log_end, 100, true, &slice) != PL_OK ||
            slice.segment == NULL) {
            return;
        }
        static uint8_t bytes[KIT_BATCH_ROOM];
        assert(slice.length <= sizeof bytes && slice.end_offset > offset);
        assert(pread(slice.fd, bytes, slice.length, (off_t)slice.position) ==
               (ssize_t)slice.length);
        struct pl_batch_reader reader = pl_batch_reader_open(bytes, slice.length);
        struct pl_batch batch;
        while (pl_batch_reader_next(&reader, &batch)) {
            CHECK_OK(
                pl_batch_check(batch.bytes, batch.size, PL_BATCH_FROM_LOG, &batch.header, NULL));
        }
        CHECK_OK(reader.err);
        offset = slice.end_offset;
        pl_segment_release(slice.segment);
    }
}

static void nothing(void *owner) {
    (void)owner;
}

static void look_up(struct kit *kit) {
    static const struct pl_lock lock = {.lock = nothing, .unlock = nothing};
    struct pl_aborted aborted[4];
    for (int64_t offset = 0; offset < BATCHES; offset += 5) {
        size_t count = sizeof aborted / sizeof *aborted;
        (void)!pl_log_aborted(kit->log, offset, INT64_MAX, aborted, &count);
    }
    int64_t end = kit_offsets(kit).log_end;
    for (int i = 0; i < BATCHES; i += 5) {
        struct pl_time_offset found;
        (void)!pl_log_find_time(kit->log, &lock, kit->now.wall_ms + 10 * i, end, &found);
    }
}

static void compact(struct kit *kit) {
    const struct pl_clean_limits limits = {.map_bytes = 1 << 16, .map_load = 0.5};
    int64_t bound = pl_log_last_stable(kit->log, kit_offsets(kit).flushed_end);
    struct pl_clean *clean = NULL;
    if (pl_log_clean_begin(kit->log, kit->now.wall_ms, bound, &limits, &clean) == PL_OK &&
        clean != NULL) {
        struct pl_cleaned cleaned;
        pl_clean_run(clean);
        (void)!pl_log_clean_end(kit->log, clean, &cleaned);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    struct kit *kit = kit_begin();
    configure(kit);
    write_log(kit);
    spoil(kit, data[0], data + 2, size - 2);
    if (kit_try_open(kit, (data[1] & 1) != 0) == PL_OK) {
        read_all(kit);
        look_up(kit);
        compact(kit);
        read_all(kit);
    }
    kit_end(kit);
    return 0;
}
