/* What the tests of log/ share: a folder that goes away, batches, and a log in it. */
#ifndef PYLOG_TEST_LOG_KIT_H
#define PYLOG_TEST_LOG_KIT_H

#include <ftw.h>
#include <unistd.h>

#include "log/log.h"
#include "pylog/codec.h"
#include "test/check.h"

struct kit_clock {
    int64_t wall_ms;
    uint64_t monotonic_ns;
};

static inline int64_t kit_wall_ms(void *context) {
    return ((const struct kit_clock *)context)->wall_ms;
}

static inline uint64_t kit_monotonic_ns(void *context) {
    return ((struct kit_clock *)context)->monotonic_ns++;
}

enum { KIT_START_MS = 1000000, KIT_BATCH_ROOM = 64 * 1024, KIT_KEPT_BATCHES = 64 };

struct kit {
    char root[64];
    char folder[80];
    struct kit_clock now;
    struct pl_clock clock;
    const struct pl_fs *fs;
    struct pl_log_config config;
    struct pl_log_recovered recovered;
    struct pl_log *log;
    struct pl_batch_builder *builder;
    struct pl_codec *codec;
    int64_t log_start_offset, recovery_point;
    int32_t leader_epoch; /* of what is appended */
    /* Staged bytes stay alive until the write. */
    uint8_t batches[KIT_KEPT_BATCHES][KIT_BATCH_ROOM];
    int next_batch;
};

static inline struct pl_log_config kit_config(void) {
    return (struct pl_log_config){
        .segment_bytes = INT64_C(1) << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .segment_index_bytes = 10 * 1024 * 1024,
        .index_interval_bytes = 4096,
        .max_message_bytes = 1024 * 1024,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
        .retention_ms = -1,
        .retention_bytes = -1,
        .file_delete_delay_ms = 0,
        .delete_retention_ms = 24 * 3600 * 1000,
        .min_compaction_lag_ms = 0,
        .max_compaction_lag_ms = INT64_MAX,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .producer_id_expiration_ms = 24 * 3600 * 1000,
        .min_cleanable_dirty_ratio = 0.5,
        .timestamp_type = PL_TIMESTAMP_CREATE,
        .durability = PL_DURABILITY_FSYNC,
        .compression = -1,
        .delete_policy = true,
    };
}

/* Sets up everything but the log. */
static inline struct kit *kit_begin(void) {
    struct kit *kit = calloc(1, sizeof *kit);
    CHECK(kit != NULL);
    /* In memory where that can be had: thousands of logs come and go. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(kit->root, sizeof kit->root, "%s/pylog-log-XXXXXX", parent);
    CHECK(mkdtemp(kit->root) != NULL);
    snprintf(kit->folder, sizeof kit->folder, "%s/topic-0", kit->root);
    kit->now = (struct kit_clock){.wall_ms = KIT_START_MS};
    kit->clock = (struct pl_clock){&kit->now, kit_wall_ms, kit_monotonic_ns};
    kit->fs = &pl_fs_real;
    kit->config = kit_config();
    struct pl_batch_options options = pl_batch_options_default();
    CHECK_OK(pl_batch_builder_create(&options, &kit->builder));
    CHECK_OK(pl_codec_create(PL_MAX_BATCH_BYTES, &kit->codec));
    return kit;
}

static inline enum pl_err kit_try_open(struct kit *kit, bool clean) {
    struct pl_log_open open = {
        .fs = kit->fs,
        .clock = &kit->clock,
        .folder = kit->folder,
        .clean_shutdown = clean,
        .recovery_point = kit->recovery_point,
        .log_start_offset = kit->log_start_offset,
        .recovered = &kit->recovered,
    };
    return pl_log_open(&open, &kit->config, &kit->log);
}

static inline void kit_open(struct kit *kit, bool clean) {
    CHECK_OK(kit_try_open(kit, clean));
}

static inline void kit_close(struct kit *kit) {
    CHECK_OK(pl_log_close(kit->log));
    kit->log = NULL;
}

static inline int kit_remove_one(const char *path, const struct stat *found, int type,
                                 struct FTW *place) {
    (void)found, (void)type, (void)place;
    return remove(path);
}

static inline void kit_end(struct kit *kit) {
    if (kit->log != NULL) {
        (void)!pl_log_close(kit->log);
    }
    pl_batch_builder_destroy(kit->builder);
    pl_codec_destroy(kit->codec);
    CHECK_EQ(nftw(kit->root, kit_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(kit);
}

static inline struct pl_span kit_text(const char *text) {
    struct pl_span span = {(const uint8_t *)text, text == NULL ? -1 : (int32_t)strlen(text)};
    return span;
}

struct kit_batch { /* what a test says of a batch; zero is a plain one of a single record */
    int records;
    size_t value_bytes;
    int64_t timestamp_ms; /* 0: now; every record has it */
    const char *key;
    int64_t producer_id; /* 0: none */
    int16_t epoch;
    int32_t sequence;
    bool transactional;
    bool tombstone; /* values are null */
    enum pl_compression compression;
};

/* The bytes stay as they are for KIT_KEPT_BATCHES calls. */
static inline uint8_t *kit_build(struct kit *kit, struct kit_batch batch, size_t *n) {
    static uint8_t value[KIT_BATCH_ROOM];
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = batch.compression;
    if (batch.producer_id != 0) {
        options.producer_id = batch.producer_id;
        options.producer_epoch = batch.epoch;
        options.base_sequence = batch.sequence;
        options.transactional = batch.transactional;
    }
    pl_batch_builder_reset(kit->builder, &options);
    struct pl_span payload = {value, batch.value_bytes == 0 ? 100 : (int32_t)batch.value_bytes};
    if (batch.tombstone) {
        payload = kit_text(NULL);
    }
    int64_t time_ms = batch.timestamp_ms == 0 ? kit->now.wall_ms : batch.timestamp_ms;
    for (int i = 0; i < (batch.records == 0 ? 1 : batch.records); i++) {
        CHECK_OK(
            pl_batch_builder_append(kit->builder, time_ms, kit_text(batch.key), payload, NULL, 0));
    }
    const uint8_t *built;
    CHECK_OK(pl_batch_builder_build(kit->builder, kit->codec, &built, n));
    CHECK(*n <= KIT_BATCH_ROOM);
    uint8_t *bytes = kit->batches[kit->next_batch++ % KIT_KEPT_BATCHES];
    memcpy(bytes, built, *n);
    return bytes;
}

static inline struct pl_append kit_client(const struct kit *kit) {
    return (struct pl_append){.origin = PL_APPEND_CLIENT,
                              .leader_epoch = kit->leader_epoch,
                              .now_ms = kit->now.wall_ms,
                              .transaction_verified = true};
}

static inline enum pl_err kit_stage(struct kit *kit, struct kit_batch batch,
                                    struct pl_appended *appended) {
    size_t n;
    uint8_t *bytes = kit_build(kit, batch, &n);
    struct pl_append append = kit_client(kit);
    return pl_log_append(kit->log, &append, bytes, n, appended);
}

/* Appends and writes; returns the first offset. */
static inline int64_t kit_append(struct kit *kit, struct kit_batch batch) {
    struct pl_appended appended;
    CHECK_OK(kit_stage(kit, batch, &appended));
    CHECK_OK(pl_log_write(kit->log));
    return appended.first_offset;
}

static inline enum pl_err kit_stage_marker(struct kit *kit, int64_t producer_id, int16_t epoch,
                                           bool abort, int32_t coordinator_epoch) {
    uint8_t *bytes = kit->batches[kit->next_batch++ % KIT_KEPT_BATCHES];
    struct pl_marker marker = {abort ? PL_MARKER_ABORT : PL_MARKER_COMMIT, coordinator_epoch};
    pl_marker_build(bytes, &marker, producer_id, epoch, kit->now.wall_ms);
    struct pl_append append = kit_client(kit);
    append.origin = PL_APPEND_COORDINATOR;
    struct pl_appended appended;
    return pl_log_append(kit->log, &append, bytes, PL_MARKER_BATCH_BYTES, &appended);
}

static inline void kit_marker(struct kit *kit, int64_t producer_id, int16_t epoch, bool abort) {
    CHECK_OK(kit_stage_marker(kit, producer_id, epoch, abort, 0));
    CHECK_OK(pl_log_write(kit->log));
}

static inline enum pl_err kit_try_flush(struct kit *kit) {
    struct pl_flush *flush;
    enum pl_err err = pl_log_flush_begin(kit->log, &flush);
    if (err != PL_OK || flush == NULL) {
        return err;
    }
    pl_flush_run(flush);
    return pl_log_flush_end(kit->log, flush);
}

static inline void kit_flush(struct kit *kit) {
    CHECK_OK(kit_try_flush(kit));
}

static inline struct pl_log_offsets kit_offsets(const struct kit *kit) {
    struct pl_log_offsets offsets;
    pl_log_offsets(kit->log, &offsets);
    return offsets;
}

/* Ends the process of the log without a word to it: as kill -9. */
static inline void kit_abandon(struct kit *kit) {
    static struct pl_log *abandoned[4096]; /* a killed process frees nothing; no leak to report */
    static size_t count;
    CHECK(count < sizeof abandoned / sizeof *abandoned);
    abandoned[count++] = kit->log;
    kit->log = NULL;
}

/* Reads [offset, bound) slice by slice; checks that batches go on without a hole, are whole and
 * intact. Returns how many records there are. */
static inline int64_t kit_read(struct kit *kit, int64_t offset, int64_t bound, uint32_t max_bytes) {
    int64_t records = 0, expected = -1;
    while (offset < bound) {
        struct pl_slice slice;
        CHECK_OK(pl_log_locate(kit->log, offset, bound, max_bytes, true, &slice));
        if (slice.segment == NULL) {
            break;
        }
        uint8_t *bytes = malloc(slice.length);
        CHECK(bytes != NULL);
        CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
        int64_t last = -1;
        for (size_t at = 0; at < slice.length;) {
            struct pl_batch_header header;
            CHECK_OK(
                pl_batch_check(bytes + at, slice.length - at, PL_BATCH_FROM_LOG, &header, NULL));
            CHECK(pl_batch_last_offset(&header) >= offset);
            CHECK(expected < 0 || header.base_offset == expected);
            records += header.records_count;
            last = pl_batch_last_offset(&header);
            expected = last + 1;
            at += pl_batch_size(&header);
        }
        CHECK(last < bound);
        CHECK_EQ(slice.end_offset, last + 1);
        offset = slice.end_offset;
        free(bytes);
        pl_segment_release(slice.segment);
    }
    return records;
}

#endif
