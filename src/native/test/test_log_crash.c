/* A log under a script of everything that happens to it, where each call of the file system in
 * turn is the one that fails: power cut, EIO, ENOSPC, a torn write. Then it is opened again, and
 * what it holds is compared with what it had acknowledged.
 *
 * Records carry the number of their batch as key, so that the model can tell them apart:
 *   - what was flushed, and not deleted since, is there, at its offset
 *   - what is there was once appended at that offset
 *   - indexes point at batches; producers go on where their last stored batch ended; open and
 *     aborted transactions are those that the stored batches tell
 *   - the leader epoch of every batch is known, and reaches beyond it
 */
#include "test/log_kit.h"
#include "test/sim_fs.h"

#include "base/bytes.h"
#include "log/file_name.h"

enum { MAX_OFFSETS = 4096, MAX_IDS = 6, PRODUCERS = 3, STEPS = 70, SEGMENT_BYTES = 1200 };

struct producers {
    int32_t sequence[PRODUCERS];
    bool in_txn[PRODUCERS];
};

struct model {
    struct kit *kit;
    struct sim_fs *sim;
    enum sim_fault fault;
    uint64_t seed;
    int next_id;
    int ids[MAX_OFFSETS][MAX_IDS]; /* batches that were appended at an offset; 0: none more */
    int64_t acked_end;             /* flushed and acknowledged below this */
    int64_t recovery_point;        /* as the broker has it in its checkpoint */
    int64_t log_start;             /* as the broker has it in its checkpoint */
    bool retention_failed;         /* it may have removed more than it said */
    struct producers producers;
    int16_t epoch[PRODUCERS];
    bool truncating; /* half a truncation is no log to go on with */
};

static uint64_t draw(struct model *model, uint64_t below) {
    return check_random(&model->seed) % below;
}

static void remember_id(struct model *model, int64_t offset, int id) {
    CHECK(offset < MAX_OFFSETS);
    for (int i = 0; i < MAX_IDS; i++) {
        if (model->ids[offset][i] == 0 || model->ids[offset][i] == id) {
            model->ids[offset][i] = id;
            return;
        }
    }
    CHECK_FAIL("too many batches at offset %" PRId64, offset);
}

/* ---- what happens to the log ---- */

static enum pl_err end_transaction(struct model *model) {
    int producer = 1 + (int)draw(model, PRODUCERS - 1);
    if (!model->producers.in_txn[producer]) {
        return PL_OK;
    }
    int64_t offset = kit_offsets(model->kit).log_end;
    enum pl_err err = kit_stage_marker(model->kit, 100 + producer, model->epoch[producer],
                                       draw(model, 2) == 0, 1);
    if (err != PL_OK) {
        return err;
    }
    remember_id(model, offset, -1);
    err = pl_log_write(model->kit->log);
    if (err == PL_OK) {
        model->producers.in_txn[producer] = false;
    }
    return err;
}

static enum pl_err flush_all(struct model *model) {
    int64_t written_end = kit_offsets(model->kit).written_end;
    enum pl_err err = kit_try_flush(model->kit);
    if (err == PL_OK || err == PL_ERR_NO_SPACE) {
        CHECK_EQ(kit_offsets(model->kit).flushed_end, written_end);
        model->acked_end = written_end;
        model->recovery_point = kit_offsets(model->kit).recovery_point;
    }
    return err;
}

static enum pl_err delete_some(struct model *model) {
    struct pl_log_offsets offsets = kit_offsets(model->kit);
    int64_t room = model->acked_end - offsets.log_start;
    if (room < 2) {
        return PL_OK;
    }
    int64_t to = offsets.log_start + (int64_t)draw(model, (uint64_t)room / 2);
    enum pl_err err = pl_log_advance_start(model->kit->log, to);
    if (err == PL_OK) {
        model->log_start = kit_offsets(model->kit).log_start;
    }
    return err;
}

static enum pl_err keep_house(struct model *model) {
    int32_t removed;
    model->kit->now.wall_ms += 1000;
    enum pl_err err =
        pl_log_housekeep(model->kit->log, model->kit->now.wall_ms, model->acked_end, &removed);
    model->log_start = kit_offsets(model->kit).log_start;
    CHECK(model->log_start <= model->acked_end);
    model->retention_failed = err != PL_OK;
    return err;
}

/* Each step is PL_OK, or an error after which the script goes on (no space) or ends (all others). */

static enum pl_err stage_some(struct model *model, struct producers *after) {
    int count = 1 + (int)draw(model, 4);
    for (int i = 0; i < count; i++) {
        char key[16];
        int producer = (int)draw(model, PRODUCERS + 1) - 1; /* -1: none; 0: no transactions */
        snprintf(key, sizeof key, "%d", ++model->next_id);
        struct kit_batch batch = {.key = key,
                                  .records = 1 + (int)draw(model, 3),
                                  .value_bytes = (size_t)(1 + draw(model, 120))};
        if (producer >= 0) {
            batch.producer_id = 100 + producer;
            batch.epoch = model->epoch[producer];
            batch.sequence = after->sequence[producer];
            batch.transactional = producer > 0;
        }
        struct pl_appended appended;
        enum pl_err err = kit_stage(model->kit, batch, &appended);
        if (err != PL_OK) {
            return err;
        }
        CHECK(!appended.duplicate);
        for (int64_t at = appended.first_offset; at < appended.end_offset; at++) {
            remember_id(model, at, model->next_id);
        }
        if (producer >= 0) {
            after->sequence[producer] += batch.records;
            after->in_txn[producer] = producer > 0;
        }
    }
    return PL_OK;
}

static enum pl_err append_some(struct model *model) {
    struct producers after = model->producers;
    enum pl_err err = stage_some(model, &after);
    if (err == PL_OK) {
        err = pl_log_write(model->kit->log);
    }
    if (err == PL_OK) {
        model->producers = after;
    }
    return err;
}

/* While a write is under way more is appended, and time may bring other work. */
static enum pl_err append_beside_a_write(struct model *model) {
    struct pl_log *log = model->kit->log;
    struct producers first = model->producers, second;
    enum pl_err err = stage_some(model, &first);
    struct pl_write *write;
    if (err == PL_OK) {
        err = pl_log_write_begin(log, &write);
    }
    if (err != PL_OK) {
        return err;
    }
    second = first;
    enum pl_err staged = stage_some(model, &second);
    enum pl_err kept = PL_OK;
    if (draw(model, 2) == 0) {
        kept = draw(model, 2) == 0 ? keep_house(model) : flush_all(model);
    }
    pl_write_run(write);
    err = pl_log_write_end(log, write);
    if (err == PL_OK) {
        model->producers = first;
        err = staged == PL_OK ? pl_log_write(log) : staged;
    }
    if (err == PL_OK) {
        model->producers = second;
    }
    return err != PL_OK ? err : kept;
}

/* As a follower that learns that its leader has less. */
static enum pl_err truncate_some(struct model *model) {
    struct pl_log_offsets offsets = kit_offsets(model->kit);
    int64_t room = offsets.log_end - offsets.log_start;
    if (room < 2) {
        return PL_OK;
    }
    int64_t back = 1 + (int64_t)draw(model, room <= 8 ? (uint64_t)room - 1 : 8);
    struct pl_slice slice; /* leaders have whole batches */
    enum pl_err err =
        pl_log_locate(model->kit->log, offsets.log_end - back, offsets.log_end, 1, true, &slice);
    if (err != PL_OK) {
        return err;
    }
    int64_t to = slice.first_offset;
    pl_segment_release(slice.segment);
    if (model->acked_end > to) {
        model->acked_end = to;
    }
    if (model->recovery_point > to) {
        model->recovery_point = to;
    }
    for (int i = 0; i < PRODUCERS; i++) { /* their sequences are not worth following back */
        model->epoch[i]++;
        model->producers.sequence[i] = 0;
        model->producers.in_txn[i] = false;
    }
    model->truncating = true;
    err = pl_log_truncate(model->kit->log, to);
    model->truncating = err != PL_OK;
    return err;
}

/* Open transactions of producers whose epoch was raised: their coordinator aborts them. */
static enum pl_err fence_producers(struct model *model) {
    for (int i = 1; i < PRODUCERS; i++) {
        int64_t offset = kit_offsets(model->kit).log_end;
        enum pl_err err = kit_stage_marker(model->kit, 100 + i, model->epoch[i], true, 1);
        if (err != PL_OK) {
            return err;
        }
        remember_id(model, offset, -1);
        err = pl_log_write(model->kit->log);
        if (err != PL_OK) {
            return err;
        }
    }
    return PL_OK;
}

static enum pl_err reopen(struct model *model) {
    enum pl_err err = pl_log_close(model->kit->log);
    model->kit->log = NULL;
    if (err == PL_OK) {
        model->kit->log_start_offset = model->log_start;
        err = kit_try_open(model->kit, true);
    }
    return err;
}

static enum pl_err step(struct model *model) {
    model->kit->now.wall_ms += 10;
    switch (draw(model, 16)) {
    case 0:
        return delete_some(model);
    case 1:
    case 2:
        return keep_house(model);
    case 3: {
        enum pl_err err = truncate_some(model);
        return err == PL_OK ? fence_producers(model) : err;
    }
    case 4:
        return reopen(model);
    case 5:
        return pl_log_epoch_begin(model->kit->log, ++model->kit->leader_epoch);
    case 6:
    case 7:
        return end_transaction(model);
    case 8:
    case 9:
        return flush_all(model);
    case 10:
    case 11:
    case 12:
        return append_beside_a_write(model);
    default:
        return append_some(model);
    }
}

/* ---- what must hold afterwards ---- */

struct txn { /* of one producer, from the stored batches */
    int64_t first_offset;
    int64_t last_sequence_offset; /* first offset of its last data batch, -1: none stored */
    int32_t last_sequence, last_records;
    int16_t epoch;
};

struct walk {
    struct model *model;
    struct txn txns[PRODUCERS];
    size_t aborts;
    struct pl_aborted aborted[512];
};

static int id_of(const uint8_t *bytes, const struct pl_batch_header *header) {
    if (pl_batch_is(header, PL_BATCH_CONTROL)) {
        return -1;
    }
    struct pl_record_reader reader =
        pl_record_reader_open(bytes + PL_BATCH_HEADER_BYTES,
                              pl_batch_size(header) - PL_BATCH_HEADER_BYTES, header->records_count);
    struct pl_record record;
    CHECK(pl_record_reader_next(&reader, &record));
    int id = 0;
    for (int i = 0; i < record.key.length; i++) {
        id = id * 10 + record.key.data[i] - '0';
    }
    return id;
}

static void check_ids(const struct model *model, const uint8_t *bytes,
                      const struct pl_batch_header *header) {
    int id = id_of(bytes, header);
    for (int64_t offset = header->base_offset; offset <= pl_batch_last_offset(header); offset++) {
        bool known = false;
        for (int i = 0; i < MAX_IDS; i++) {
            known = known || model->ids[offset][i] == id;
        }
        if (!known) {
            CHECK_FAIL("batch %d was never at offset %" PRId64, id, offset);
        }
    }
}

static void follow_producer(struct walk *walk, const uint8_t *bytes,
                            const struct pl_batch_header *header) {
    if (header->producer_id < 100) {
        return;
    }
    struct txn *txn = &walk->txns[header->producer_id - 100];
    txn->epoch = header->producer_epoch;
    if (!pl_batch_is(header, PL_BATCH_CONTROL)) {
        txn->last_sequence_offset = header->base_offset;
        txn->last_sequence = header->base_sequence;
        txn->last_records = header->records_count;
        if (pl_batch_is(header, PL_BATCH_TRANSACTIONAL) && txn->first_offset < 0) {
            txn->first_offset = header->base_offset;
        }
        return;
    }
    struct pl_batch batch = {.header = *header, .bytes = bytes, .size = pl_batch_size(header)};
    struct pl_marker marker;
    CHECK_OK(pl_marker_parse(&batch, &marker));
    if (marker.type == PL_MARKER_ABORT && txn->first_offset >= 0) {
        walk->aborted[walk->aborts++] = (struct pl_aborted){header->producer_id, txn->first_offset};
    }
    txn->first_offset = -1;
    txn->last_sequence_offset = -1; /* a marker may raise the epoch; keep to the simple case */
}

static void check_epoch(const struct kit *kit, const struct pl_batch_header *header) {
    int32_t found;
    int64_t end_offset;
    pl_log_epoch_end(kit->log, header->partition_leader_epoch, &found, &end_offset);
    CHECK_EQ(found, header->partition_leader_epoch);
    CHECK(end_offset > pl_batch_last_offset(header));
}

static void walk_log(struct walk *walk) {
    struct kit *kit = walk->model->kit;
    struct pl_log_offsets offsets = kit_offsets(kit);
    for (int64_t offset = offsets.log_start; offset < offsets.written_end;) {
        struct pl_slice slice;
        CHECK_OK(pl_log_locate(kit->log, offset, offsets.written_end, 700, true, &slice));
        if (slice.segment == NULL) {
            break;
        }
        uint8_t bytes[16384];
        CHECK(slice.length <= sizeof bytes);
        CHECK_EQ(pread(slice.fd, bytes, slice.length, (off_t)slice.position), slice.length);
        for (size_t at = 0; at < slice.length;) {
            struct pl_batch_header header;
            CHECK_OK(
                pl_batch_check(bytes + at, slice.length - at, PL_BATCH_FROM_LOG, &header, NULL));
            CHECK(header.base_offset <= offset); /* no hole */
            check_ids(walk->model, bytes + at, &header);
            check_epoch(kit, &header);
            follow_producer(walk, bytes + at, &header);
            offset = pl_batch_last_offset(&header) + 1;
            at += pl_batch_size(&header);
        }
        CHECK_EQ(slice.end_offset, offset);
        pl_segment_release(slice.segment);
    }
    walk->model->acked_end =
        walk->model->acked_end > offsets.log_start ? walk->model->acked_end : offsets.log_start;
    if (kit->config.durability == PL_DURABILITY_FSYNC) {
        CHECK_EQ(offsets.written_end, offsets.flushed_end);
    }
}

/* A transaction that the walk saw only the end of is listed with a first offset below `start`. */
static bool is_listed(const struct pl_aborted *list, size_t count, const struct pl_aborted *one,
                      int64_t start) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].producer_id == one->producer_id &&
            (list[i].first_offset == one->first_offset || list[i].first_offset < start)) {
            return true;
        }
    }
    return false;
}

static void check_transactions(const struct walk *walk) {
    struct pl_log *log = walk->model->kit->log;
    struct pl_log_offsets offsets = kit_offsets(walk->model->kit);
    int64_t first_unstable = -1;
    for (int i = 0; i < PRODUCERS; i++) {
        int64_t first = walk->txns[i].first_offset;
        if (first >= 0 && (first_unstable < 0 || first < first_unstable)) {
            first_unstable = first;
        }
    }
    bool before_walk = offsets.first_unstable >= 0 && offsets.first_unstable < offsets.log_start;
    if (!before_walk) {
        CHECK_EQ(offsets.first_unstable, first_unstable);
    }
    struct pl_aborted aborted[512];
    size_t count = 512;
    CHECK_OK(pl_log_aborted(log, offsets.log_start, offsets.log_end, aborted, &count));
    CHECK(count <= 512);
    for (size_t i = 0; i < count; i++) {
        CHECK(aborted[i].first_offset < offsets.log_start ||
              is_listed(walk->aborted, walk->aborts, &aborted[i], -1));
    }
    for (size_t i = 0; i < walk->aborts; i++) {
        CHECK(is_listed(aborted, count, &walk->aborted[i], offsets.log_start));
    }
}

static void check_sequences(const struct walk *walk) {
    struct kit *kit = walk->model->kit;
    for (int i = 0; i < PRODUCERS; i++) {
        const struct txn *txn = &walk->txns[i];
        if (txn->last_sequence_offset < 0) {
            continue;
        }
        struct kit_batch batch = {.producer_id = 100 + i,
                                  .epoch = txn->epoch,
                                  .sequence = txn->last_sequence,
                                  .records = txn->last_records,
                                  .transactional = i > 0};
        struct pl_appended appended;
        CHECK_OK(kit_stage(kit, batch, &appended));
        CHECK(appended.duplicate);
        CHECK_EQ(appended.first_offset, txn->last_sequence_offset);
        batch.sequence += txn->last_records + 1;
        CHECK_EQ(kit_stage(kit, batch, &appended), PL_ERR_OUT_OF_ORDER_SEQUENCE);
    }
}

/* Every index entry of the folder names a batch. Called when the log is closed. */
static void check_index_file(const struct kit *kit, int64_t base_offset) {
    char path[PL_PATH_BYTES];
    uint8_t log[65536], index[8192];
    pl_file_path(path, kit->folder, base_offset, PL_FILE_LOG, PL_PHASE_LIVE);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t log_bytes = fread(log, 1, sizeof log, file);
    fclose(file);
    pl_file_path(path, kit->folder, base_offset, PL_FILE_OFFSET_INDEX, PL_PHASE_LIVE);
    file = fopen(path, "rb");
    if (file == NULL) {
        return;
    }
    size_t index_bytes = fread(index, 1, sizeof index, file);
    fclose(file);
    CHECK_EQ(index_bytes % 8, 0);
    for (size_t at = 0; at < index_bytes; at += 8) {
        uint32_t position = pl_get_u32(index + at + 4);
        CHECK(position < log_bytes);
        struct pl_batch_header header;
        CHECK_OK(pl_batch_header_parse(log + position, log_bytes - position, &header));
        CHECK_EQ(pl_batch_last_offset(&header), base_offset + pl_get_u32(index + at));
    }
}

static enum pl_err check_name(void *argument, const char *name) {
    struct pl_file_name parsed;
    if (!pl_file_name_parse(name, &parsed)) {
        return PL_OK;
    }
    CHECK(parsed.phase == PL_PHASE_LIVE);
    if (parsed.kind == PL_FILE_LOG) {
        check_index_file(argument, parsed.base_offset);
    }
    return PL_OK;
}

static void check_log(struct model *model) {
    struct walk walk = {.model = model};
    for (int i = 0; i < PRODUCERS; i++) {
        walk.txns[i] = (struct txn){.first_offset = -1, .last_sequence_offset = -1};
    }
    walk_log(&walk);
    struct pl_log_offsets offsets = kit_offsets(model->kit);
    CHECK(offsets.log_end >= model->acked_end);
    CHECK(offsets.log_start <= (model->retention_failed ? model->acked_end : model->log_start));
    check_transactions(&walk);
    check_sequences(&walk);
}

static void stop(struct model *model, bool power_cut) {
    sim_fs_stop(model->sim);
    if (model->kit->log != NULL) {
        (void)!pl_log_close(model->kit->log); /* only frees */
        model->kit->log = NULL;
    }
    if (power_cut) {
        sim_fs_power_cut(model->sim);
    } else {
        sim_fs_kill(model->sim);
    }
}

static void append_last(struct model *model) {
    kit_append(model->kit, (struct kit_batch){.key = "0"});
    remember_id(model, kit_offsets(model->kit).log_end - 1, 0);
}

/* What was found is acknowledged by its being readable: a second power cut may not take it. With
 * os durability that holds for what has been flushed, and what comes next is in danger too. */
static void check_second_cut(struct model *model) {
    if (draw(model, 2) == 0) {
        append_last(model);
    }
    model->acked_end = kit_offsets(model->kit).flushed_end;
    model->kit->recovery_point = kit_offsets(model->kit).recovery_point;
    stop(model, true);
    kit_open(model->kit, false);
    check_log(model);
}

static void check_reopened(struct model *model) {
    struct kit *kit = model->kit;
    /* The broker's checkpoint may be older than the log. */
    kit->log_start_offset = draw(model, 2) == 0 ? model->log_start : 0;
    kit->recovery_point = draw(model, 2) == 0 ? model->recovery_point : 0;
    kit->config.durability = draw(model, 2) == 0 ? PL_DURABILITY_OS : PL_DURABILITY_FSYNC;
    kit_open(kit, false);
    check_log(model);
    if (model->fault != SIM_IO) { /* after a lying disk the page cache proves nothing */
        check_second_cut(model);
    }
    append_last(model);
    kit_flush(kit);
    int64_t end = kit_offsets(kit).log_end;
    kit_close(kit);
    CHECK_OK(kit->fs->list(kit->fs->context, kit->folder, check_name, kit));
    kit_open(kit, true);
    CHECK_EQ(kit->recovered.bytes_scanned, 0);
    CHECK_EQ(kit_offsets(kit).log_end, end);
    kit_close(kit);
}

/* ---- the script ---- */

static struct model *begin(uint64_t seed, enum sim_fault fault, uint64_t at) {
    struct model *model = calloc(1, sizeof *model);
    CHECK(model != NULL);
    model->kit = kit_begin();
    model->fault = fault;
    model->seed = seed;
    model->sim = sim_fs_create(model->kit->root, seed * 31 + at);
    model->kit->fs = sim_fs_table(model->sim);
    model->kit->config.segment_bytes = SEGMENT_BYTES;
    model->kit->config.index_interval_bytes = 200;
    model->kit->config.retention_bytes = 6 * SEGMENT_BYTES;
    model->kit->config.file_delete_delay_ms = 500;
    sim_fs_fail(model->sim, fault, at);
    return model;
}

/* Steps until one ends the process; lack of space does not. */
static void run_script(struct model *model) {
    enum pl_err err = kit_try_open(model->kit, false);
    if (err == PL_ERR_NO_SPACE) {
        err = kit_try_open(model->kit, false);
    }
    for (int i = 0; i < STEPS && err == PL_OK; i++) {
        err = step(model);
        if (model->kit->log == NULL) {
            return;
        }
        if (model->fault == SIM_NO_SPACE) {
            CHECK(!kit_offsets(model->kit).offline || model->truncating);
        }
        if (err == PL_ERR_NO_SPACE) {
            err = PL_OK;
        }
    }
}

static bool try_once(uint64_t seed, enum sim_fault fault, uint64_t at, bool power_cut) {
    struct model *model = begin(seed, fault, at);
    run_script(model);
    bool failed = sim_fs_has_failed(model->sim);
    if (failed || fault == SIM_NONE) {
        stop(model, power_cut);
        check_reopened(model);
    }
    model->kit->fs = &pl_fs_real;
    kit_end(model->kit);
    sim_fs_destroy(model->sim);
    free(model);
    return failed;
}

static void try_every_call(enum sim_fault fault, bool power_cut) {
    for (uint64_t seed = 1; seed <= 1; seed++) {
        uint64_t at = 1;
        while (try_once(seed * 7919, fault, at, power_cut)) {
            at++;
        }
        CHECK(at > 100);
    }
}

static void without_a_fault_the_script_leaves_a_sound_log(void) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        try_once(seed, SIM_NONE, 0, false);
        try_once(seed, SIM_NONE, 0, true);
    }
}

static void a_power_cut_at_any_call_loses_nothing_acknowledged(void) {
    try_every_call(SIM_POWER, true);
}

static void a_failing_disk_at_any_call_loses_nothing_acknowledged(void) {
    try_every_call(SIM_IO, false);
}

static void a_failing_disk_and_then_a_power_cut_lose_nothing_acknowledged(void) {
    try_every_call(SIM_IO, true);
}

static void a_full_disk_at_any_call_passes(void) {
    try_every_call(SIM_NO_SPACE, true);
}

int main(void) {
    RUN(without_a_fault_the_script_leaves_a_sound_log);
    RUN(a_power_cut_at_any_call_loses_nothing_acknowledged);
    RUN(a_failing_disk_at_any_call_loses_nothing_acknowledged);
    RUN(a_failing_disk_and_then_a_power_cut_lose_nothing_acknowledged);
    RUN(a_full_disk_at_any_call_passes);
    return check_end();
}
