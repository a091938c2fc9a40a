/* Compaction: the newest value of each key stays, at its offset; tombstones and markers stay for
 * their time; aborted records go; nothing else changes, whatever call of the disk fails. */
#include "test/log_kit.h"
#include "test/sim_fs.h"

#include "log/clean_map.h"
#include "log/clean_pace.h"

enum { RETENTION_MS = 5000 };

static void configure(struct kit *kit) {
    kit->config.segment_bytes = 1500;
    kit->config.index_interval_bytes = 300;
    kit->config.compact_policy = true;
    kit->config.delete_policy = false;
    kit->config.delete_retention_ms = RETENTION_MS;
    kit->config.min_cleanable_dirty_ratio = 0;
}

static struct kit *begin(void) {
    struct kit *kit = kit_begin();
    configure(kit);
    kit_open(kit, false);
    return kit;
}

static struct pl_clean *begin_clean(struct kit *kit, size_t map_bytes) {
    struct pl_clean_limits limits = {.map_bytes = map_bytes, .map_load = 0.9};
    struct pl_clean *clean;
    int64_t bound = pl_log_last_stable(kit->log, kit_offsets(kit).flushed_end);
    CHECK_OK(pl_log_clean_begin(kit->log, kit->now.wall_ms, bound, &limits, &clean));
    return clean;
}

static struct pl_cleaned clean_with(struct kit *kit, size_t map_bytes) {
    struct pl_cleaned cleaned = {0};
    kit_flush(kit);
    struct pl_clean *clean = begin_clean(kit, map_bytes);
    if (clean != NULL) {
        pl_clean_run(clean);
        CHECK_OK(pl_log_clean_end(kit->log, clean, &cleaned));
    }
    return cleaned;
}

static struct pl_cleaned clean(struct kit *kit) {
    return clean_with(kit, 1 << 20);
}

static void append_key(struct kit *kit, const char *key) {
    kit_append(kit, (struct kit_batch){.key = key});
}

static void roll(struct kit *kit) {
    kit_append(kit, (struct kit_batch){.key = "filler", .value_bytes = 1300});
    kit_append(kit, (struct kit_batch){.key = "filler", .value_bytes = 1300});
}

/* ---- looking at what is left ---- */

enum { MAX_LEFT = 4096 };

struct left { /* records that a reader of committed records sees, in order */
    int count;
    int64_t offsets[MAX_LEFT];
    char keys[MAX_LEFT][16];
    bool tombstones[MAX_LEFT];
    int batches, empty, control;
};

static bool is_aborted(const struct pl_aborted *open, size_t count, int64_t producer_id) {
    for (size_t i = 0; i < count; i++) {
        if (open[i].producer_id == producer_id) {
            return true;
        }
    }
    return false;
}

struct view {
    struct left left;
    struct pl_aborted aborted[256], open[64];
    size_t aborted_count, next, open_count;
};

static void view_marker(struct view *view, const struct pl_batch_header *header) {
    view->left.control++;
    for (size_t i = 0; i < view->open_count; i++) {
        if (view->open[i].producer_id == header->producer_id) {
            view->open[i] = view->open[--view->open_count];
            return;
        }
    }
}

/* As a consumer does it (KIP-98): aborted transactions open at their first offset, and close at
 * their producer's marker. */
static void view_batch(struct view *view, struct kit *kit, const struct pl_batch *batch) {
    const struct pl_batch_header *header = &batch->header;
    view->left.batches++;
    view->left.empty += header->records_count == 0;
    while (view->next < view->aborted_count &&
           view->aborted[view->next].first_offset <= pl_batch_last_offset(header)) {
        view->open[view->open_count++] = view->aborted[view->next++];
    }
    if (pl_batch_is(header, PL_BATCH_CONTROL)) {
        view_marker(view, header);
        return;
    }
    if (pl_batch_is(header, PL_BATCH_TRANSACTIONAL) &&
        is_aborted(view->open, view->open_count, header->producer_id)) {
        return;
    }
    struct pl_record_reader reader;
    struct pl_record record;
    CHECK_OK(pl_batch_open_records(kit->codec, batch, &reader));
    while (pl_record_reader_next(&reader, &record)) {
        struct left *left = &view->left;
        CHECK(left->count < MAX_LEFT);
        left->offsets[left->count] = header->base_offset + record.offset_delta;
        left->tombstones[left->count] = record.value.length < 0;
        snprintf(left->keys[left->count], sizeof left->keys[0], "%.*s", (int)record.key.length,
                 (const char *)record.key.data);
        left->count++;
    }
    CHECK_OK(reader.cursor.err);
}

static int by_first_offset(const void *a, const void *b) {
    const struct pl_aborted *left = a, *right = b;
    return left->first_offset < right->first_offset ? -1 : 1;
}

static struct left *look(struct kit *kit) {
    static struct view view;
    view = (struct view){.aborted_count = 256};
    struct pl_log_offsets offsets = kit_offsets(kit);
    CHECK_OK(pl_log_aborted(kit->log, 0, offsets.written_end, view.aborted, &view.aborted_count));
    CHECK(view.aborted_count <= 256);
    qsort(view.aborted, view.aborted_count, sizeof view.aborted[0], by_first_offset);
    for (int64_t offset = offsets.log_start; offset < offsets.written_end;) {
        struct pl_slice slice;
        CHECK_OK(pl_log_locate(kit->log, offset, offsets.written_end, 4000, true, &slice));
        if (slice.segment == NULL) {
            break;
        }
        static uint8_t bytes[KIT_BATCH_ROOM];
        CHECK(slice.length <= sizeof bytes);
        CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
        struct pl_batch_reader reader = pl_batch_reader_open(bytes, slice.length);
        struct pl_batch batch;
        while (pl_batch_reader_next(&reader, &batch)) {
            CHECK_OK(
                pl_batch_check(batch.bytes, batch.size, PL_BATCH_FROM_LOG, &batch.header, NULL));
            view_batch(&view, kit, &batch);
        }
        CHECK_OK(reader.err);
        CHECK(slice.end_offset > offset);
        offset = slice.end_offset;
        pl_segment_release(slice.segment);
    }
    return &view.left;
}

static int count_key(const struct left *left, const char *key) {
    int count = 0;
    for (int i = 0; i < left->count; i++) {
        count += strcmp(left->keys[i], key) == 0;
    }
    return count;
}

static int64_t last_of_key(const struct left *left, const char *key) {
    for (int i = left->count - 1; i >= 0; i--) {
        if (strcmp(left->keys[i], key) == 0) {
            return left->tombstones[i] ? -1 : left->offsets[i];
        }
    }
    return -1;
}

/* ---- plain records ---- */

static void the_newest_value_of_each_key_stays_at_its_offset(void) {
    struct kit *kit = begin();
    char key[16];
    for (int i = 0; i < 90; i++) {
        snprintf(key, sizeof key, "%d", i % 10);
        kit_append(kit, (struct kit_batch){.key = key,
                                           .records = 1 + i % 2,
                                           .compression = (enum pl_compression)(i % 5)});
    }
    roll(kit);
    int64_t end = kit_offsets(kit).log_end;
    int64_t expected[10];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%d", i);
        expected[i] = last_of_key(look(kit), key);
    }
    struct pl_cleaned cleaned = clean(kit);
    CHECK(cleaned.bytes_after < cleaned.bytes_before / 3);
    CHECK_EQ(kit_offsets(kit).cleaned_end, cleaned.cleaned_end);
    for (int restart = 0; restart < 3; restart++) {
        const struct left *left = look(kit);
        for (int i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "%d", i);
            CHECK_EQ(count_key(left, key), 1);
            CHECK_EQ(last_of_key(left, key), expected[i]);
        }
        CHECK_EQ(kit_offsets(kit).log_end, end);
        if (restart == 0) {
            kit_close(kit);
        } else {
            kit_abandon(kit);
        }
        kit_open(kit, restart == 0);
    }
    kit_end(kit);
}

static void nothing_is_cleaned_before_it_is_due(void) {
    struct kit *kit = begin();
    append_key(kit, "a");
    CHECK(begin_clean(kit, 1 << 20) == NULL); /* only the active segment */
    roll(kit);
    CHECK(begin_clean(kit, 1 << 20) == NULL); /* not flushed */
    kit_flush(kit);
    kit->config.min_cleanable_dirty_ratio = 1.1;
    pl_log_configure(kit->log, &kit->config);
    CHECK(begin_clean(kit, 1 << 20) == NULL);
    kit->config.min_compaction_lag_ms = 100;
    kit->config.max_compaction_lag_ms = 50;
    pl_log_configure(kit->log, &kit->config);
    kit->now.wall_ms += 60;
    CHECK(begin_clean(kit, 1 << 20) == NULL); /* too young */
    kit->now.wall_ms += 60;
    struct pl_clean *due = begin_clean(kit, 1 << 20); /* overdue */
    CHECK(due != NULL);
    struct pl_clean_limits limits = {.map_bytes = 1 << 20, .map_load = 0.9};
    struct pl_clean *second;
    CHECK_EQ(pl_log_clean_begin(kit->log, 0, 0, &limits, &second), PL_ERR_BUSY);
    pl_clean_run(due);
    struct pl_cleaned cleaned;
    CHECK_OK(pl_log_clean_end(kit->log, due, &cleaned));
    CHECK(begin_clean(kit, 1 << 20) == NULL); /* nothing is dirty */
    kit_end(kit);
}

static void a_cancelled_clean_changes_nothing(void) {
    struct kit *kit = begin();
    for (int i = 0; i < 30; i++) {
        append_key(kit, "a");
    }
    roll(kit);
    kit_flush(kit);
    struct pl_clean *cancelled = begin_clean(kit, 1 << 20);
    pl_clean_cancel(cancelled);
    pl_clean_run(cancelled);
    struct pl_cleaned cleaned;
    CHECK_EQ(pl_log_clean_end(kit->log, cancelled, &cleaned), PL_ERR_CLOSED);
    CHECK_EQ(count_key(look(kit), "a"), 30);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 1);
    kit_end(kit);
}

static void a_map_too_small_for_all_keys_cleans_in_several_goes(void) {
    struct kit *kit = begin();
    char key[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "%d", i % 1500);
        kit_append(kit, (struct kit_batch){.key = key, .value_bytes = 5});
    }
    roll(kit);
    int64_t before = kit_offsets(kit).cleaned_end;
    int goes = 0;
    for (;; goes++) {
        clean_with(kit, 1); /* 921 keys at the least */
        if (kit_offsets(kit).cleaned_end == before) {
            break;
        }
        before = kit_offsets(kit).cleaned_end;
    }
    CHECK(goes >= 3);
    const struct left *left = look(kit);
    for (int i = 0; i < 1400; i++) { /* the last ones may be in the active segment */
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(count_key(left, key), 1);
        CHECK_EQ(last_of_key(left, key), 1500 + i);
    }
    kit_end(kit);
}

static void tombstones_stay_for_delete_retention_ms(void) {
    struct kit *kit = begin();
    append_key(kit, "a");
    append_key(kit, "b");
    kit_append(kit, (struct kit_batch){.key = "a", .tombstone = true});
    roll(kit);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 1);
    CHECK_EQ(last_of_key(look(kit), "a"), -1);
    CHECK_EQ(last_of_key(look(kit), "b"), 1);
    kit->now.wall_ms += RETENTION_MS - 1;
    roll(kit);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 1);
    kit->now.wall_ms += 2;
    roll(kit);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 0);
    CHECK_EQ(count_key(look(kit), "b"), 1);
    kit_end(kit);
}

/* ---- producers and transactions ---- */

static void an_idempotent_producer_is_remembered_through_a_clean(void) {
    struct kit *kit = begin();
    for (int i = 0; i < 20; i++) {
        kit_append(kit, (struct kit_batch){.key = "a", .producer_id = 5, .sequence = i});
    }
    append_key(kit, "a");
    roll(kit);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 1);
    CHECK(look(kit)->empty > 0);
    kit_abandon(kit);
    kit_open(kit, false);
    struct pl_appended appended;
    struct kit_batch batch = {.key = "a", .producer_id = 5, .sequence = 19};
    CHECK_OK(kit_stage(kit, batch, &appended));
    CHECK(appended.duplicate);
    CHECK_EQ(appended.first_offset, 19);
    batch.sequence = 21;
    CHECK_EQ(kit_stage(kit, batch, &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    kit_end(kit);
}

static void aborted_records_go_and_their_markers_follow(void) {
    struct kit *kit = begin();
    append_key(kit, "a");
    kit_append(kit, (struct kit_batch){.key = "a", .producer_id = 5, .transactional = true});
    kit_append(kit, (struct kit_batch){.key = "b", .producer_id = 6, .transactional = true});
    kit_marker(kit, 5, 0, true);
    kit_marker(kit, 6, 0, false);
    kit_append(kit, (struct kit_batch){.key = "x", .producer_id = 5, .sequence = 1});
    kit_append(kit, (struct kit_batch){.key = "x", .producer_id = 6, .sequence = 1});
    roll(kit);
    clean(kit);
    CHECK_EQ(last_of_key(look(kit), "a"), 0); /* the aborted one did not supersede it */
    CHECK_EQ(last_of_key(look(kit), "b"), 2);
    CHECK_EQ(look(kit)->control, 2);
    roll(kit);
    clean(kit); /* the abort's horizon is set: its batches have gone */
    CHECK_EQ(look(kit)->control, 2);
    kit->now.wall_ms += RETENTION_MS + 1;
    roll(kit);
    clean(kit);
    CHECK_EQ(look(kit)->control, 1); /* the commit's record is still there */
    CHECK_EQ(last_of_key(look(kit), "a"), 0);
    CHECK_EQ(last_of_key(look(kit), "b"), 2);
    kit_end(kit);
}

static void an_abort_that_was_compacted_does_not_hide_a_later_commit(void) {
    struct kit *kit = begin();
    append_key(kit, "a");
    kit_append(kit, (struct kit_batch){.key = "b", .producer_id = 5, .transactional = true});
    kit_marker(kit, 5, 0, true);
    roll(kit);
    clean(kit);
    kit_append(
        kit, (struct kit_batch){.key = "a", .producer_id = 5, .sequence = 1, .transactional = true});
    kit_marker(kit, 5, 0, false);
    roll(kit);
    clean(kit);
    CHECK_EQ(count_key(look(kit), "a"), 1);
    CHECK(last_of_key(look(kit), "a") > 0);
    kit_end(kit);
}

/* ---- anything ---- */

enum { KEYS = 12, STEPS = 60 };

struct model {
    int64_t newest[KEYS]; /* offset of the committed value, -1: none or tombstone */
    int32_t sequence[3];
    bool in_txn[3];
    int64_t pending[3][KEYS]; /* of the open transaction; -2: untouched */
};

static void end_txn(struct kit *kit, struct model *model, int producer, bool abort) {
    kit_marker(kit, 50 + producer, 0, abort);
    for (int k = 0; k < KEYS; k++) {
        if (!abort && model->pending[producer][k] != -2) {
            /* Order is that of offsets, not of commits. */
            int64_t pending = model->pending[producer][k];
            int64_t at = pending < 0 ? -pending - 3 : pending;
            int64_t known = model->newest[k] < 0 ? -model->newest[k] - 3 : model->newest[k];
            model->newest[k] = at > known ? pending : model->newest[k];
        }
        model->pending[producer][k] = -2;
    }
    model->in_txn[producer] = false;
}

/* Offsets of tombstones are kept as -3 - offset, so that order can be told. */
static void append_any(struct kit *kit, struct model *model, uint64_t *seed) {
    int k = (int)(check_random(seed) % KEYS);
    int producer = (int)(check_random(seed) % 4) - 1;
    char key[16];
    snprintf(key, sizeof key, "k%d", k);
    struct kit_batch batch = {.key = key,
                              .records = 1 + (int)(check_random(seed) % 2),
                              .value_bytes = 1 + check_random(seed) % 200,
                              .tombstone = check_random(seed) % 5 == 0,
                              .compression = (enum pl_compression)(check_random(seed) % 5)};
    if (producer >= 0) {
        batch.producer_id = 50 + producer;
        batch.sequence = model->sequence[producer];
        batch.transactional = true;
        model->sequence[producer] += batch.records;
        model->in_txn[producer] = true;
    }
    int64_t at = kit_append(kit, batch) + batch.records - 1;
    int64_t *to = producer < 0 ? &model->newest[k] : &model->pending[producer][k];
    *to = batch.tombstone ? -3 - at : at;
}

static void check_view(struct kit *kit, const struct model *model) {
    const struct left *left = look(kit);
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", k);
        int64_t expected = model->newest[k] < 0 ? -1 : model->newest[k];
        CHECK_EQ(last_of_key(left, key), expected);
    }
}

static void end_all(struct kit *kit, struct model *model) {
    for (int i = 0; i < 3; i++) {
        if (model->in_txn[i]) {
            end_txn(kit, model, i, false);
        }
    }
}

static struct model fresh_model(void) {
    struct model model = {.in_txn = {false}};
    for (int k = 0; k < KEYS; k++) {
        model.newest[k] = -2;
        model.pending[0][k] = model.pending[1][k] = model.pending[2][k] = -2;
    }
    return model;
}

static void append_many(struct kit *kit, struct model *model, uint64_t *seed) {
    for (int i = 0; i < STEPS; i++) {
        int producer = (int)(check_random(seed) % 3);
        if (check_random(seed) % 5 == 0 && model->in_txn[producer]) {
            end_txn(kit, model, producer, check_random(seed) % 2 == 0);
        }
        append_any(kit, model, seed);
    }
    end_all(kit, model);
}

static void readers_see_the_same_values_before_and_after(void) {
    for (uint64_t seed_of_run = 1; seed_of_run <= 25; seed_of_run++) {
        uint64_t seed = seed_of_run * 977;
        struct kit *kit = begin();
        struct model model = fresh_model();
        for (int round = 0; round < 5; round++) {
            append_many(kit, &model, &seed);
            check_view(kit, &model);
            clean(kit);
            check_view(kit, &model);
            kit->now.wall_ms += (int64_t)(check_random(&seed) % (2 * RETENTION_MS));
            if (check_random(&seed) % 2 == 0) {
                kit_close(kit);
                kit_open(kit, false);
                check_view(kit, &model);
            }
        }
        kit_end(kit);
    }
}

/* ---- faults ---- */

static void stop(struct kit *kit, struct sim_fs *sim, bool power_cut) {
    sim_fs_stop(sim);
    if (kit->log != NULL) {
        (void)!pl_log_close(kit->log); /* only frees */
        kit->log = NULL;
    }
    if (power_cut) {
        sim_fs_power_cut(sim);
    } else {
        sim_fs_kill(sim);
    }
}

/* Fills a log, then cleans it twice, the second time with a fault. */
static bool clean_with_fault(enum sim_fault fault, uint64_t at, bool power_cut) {
    uint64_t seed = 4711;
    struct kit *kit = kit_begin();
    struct sim_fs *sim = sim_fs_create(kit->root, at + 1);
    kit->fs = sim_fs_table(sim);
    configure(kit);
    kit_open(kit, false);
    struct model model = fresh_model();
    append_many(kit, &model, &seed);
    clean(kit);
    append_many(kit, &model, &seed);
    kit_flush(kit);
    int64_t end = kit_offsets(kit).log_end;
    struct pl_clean *faulty = begin_clean(kit, 1 << 20);
    CHECK(faulty != NULL);
    sim_fs_fail(sim, fault, at);
    pl_clean_run(faulty);
    struct pl_cleaned cleaned;
    enum pl_err err = pl_log_clean_end(kit->log, faulty, &cleaned);
    bool failed = sim_fs_has_failed(sim);
    if (fault == SIM_NO_SPACE && !kit_offsets(kit).offline) {
        check_view(kit, &model); /* the log goes on */
    }
    CHECK(failed || err == PL_OK);
    stop(kit, sim, power_cut);
    kit->recovery_point = end;
    if (power_cut) { /* once more, while opening finishes the swap */
        sim_fs_fail(sim, SIM_POWER, 1 + at % 29);
        (void)!kit_try_open(kit, false);
        stop(kit, sim, true);
    }
    kit_open(kit, false);
    CHECK_EQ(kit_offsets(kit).log_end, end);
    CHECK_EQ(kit->recovered.bytes_cut, 0);
    check_view(kit, &model);
    kit->now.wall_ms += 2 * RETENTION_MS;
    clean(kit);
    check_view(kit, &model);
    kit_close(kit);
    kit->fs = &pl_fs_real;
    kit_end(kit);
    sim_fs_destroy(sim);
    return failed;
}

static void try_every_call(enum sim_fault fault, bool power_cut) {
    uint64_t at = 1;
    while (clean_with_fault(fault, at, power_cut)) {
        at++;
    }
    CHECK(at > 30);
}

static void a_fault_at_any_call_of_a_clean_loses_no_value(void) {
    try_every_call(SIM_POWER, true);
    try_every_call(SIM_IO, false);
    try_every_call(SIM_IO, true);
    try_every_call(SIM_NO_SPACE, true);
}

/* ---- the hash ---- */

/* The first two vectors of the authors' test program, key 00 01 … 0f. */
static void the_pace_is_that_of_all_who_share_it(void) {
    struct pl_clean_pace pace;
    pl_clean_pace_open(&pace);
    CHECK_EQ(pl_clean_pace_take(&pace, SIZE_MAX, 5), 5); /* no limit */
    CHECK_EQ(pl_clean_pace_take(&pace, 1, 5), 5);
    pl_clean_pace_set(&pace, 1000);
    uint64_t second = 1000000000, now = 7 * second;
    CHECK_EQ(pl_clean_pace_take(&pace, 500, now), now);
    CHECK_EQ(pl_clean_pace_take(&pace, 1000, now), now + second / 2);
    CHECK_EQ(pl_clean_pace_take(&pace, 1, now + second), now + second / 2 * 3);
    CHECK_EQ(pl_clean_pace_take(&pace, 1, now + 9 * second), now + 9 * second); /* not saved up */
    pl_clean_pace_set(&pace, 1e-300);
    CHECK_EQ(pl_clean_pace_take(&pace, 1, now), now);
    CHECK_EQ(pl_clean_pace_take(&pace, 1, now), now + 3600 * second);
    pl_clean_pace_close(&pace);
}

static void siphash_gives_the_published_values(void) {
    static const uint8_t none[16] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                     0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
    static const uint8_t zero[16] = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                                     0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
    uint64_t seed[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint64_t hash[2];
    uint8_t byte = 0;
    pl_siphash128(seed, &byte, 0, hash);
    CHECK_BYTES(hash, none, 16);
    pl_siphash128(seed, &byte, 1, hash);
    CHECK_BYTES(hash, zero, 16);
}

int main(void) {
    RUN(the_newest_value_of_each_key_stays_at_its_offset);
    RUN(nothing_is_cleaned_before_it_is_due);
    RUN(a_cancelled_clean_changes_nothing);
    RUN(a_map_too_small_for_all_keys_cleans_in_several_goes);
    RUN(tombstones_stay_for_delete_retention_ms);
    RUN(an_idempotent_producer_is_remembered_through_a_clean);
    RUN(aborted_records_go_and_their_markers_follow);
    RUN(an_abort_that_was_compacted_does_not_hide_a_later_commit);
    RUN(readers_see_the_same_values_before_and_after);
    RUN(a_fault_at_any_call_of_a_clean_loses_no_value);
    RUN(the_pace_is_that_of_all_who_share_it);
    RUN(siphash_gives_the_published_values);
    return check_end();
}
