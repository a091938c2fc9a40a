#include "log/producer_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table: open addressing, linear probing, deletion by shifting back ---- */

enum { FIRST_SLOTS = 8, FIRST_ROOM = 8 };

void pl_producers_init(struct pl_producers *producers) {
    *producers = (struct pl_producers){.turn = 1};
}

void pl_producers_clear(struct pl_producers *producers) {
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        free(producers->slots[i]);
        producers->slots[i] = NULL;
    }
    producers->count = 0;
    producers->first_open = producers->last_open = NULL;
    producers->ended_count = 0;
    pl_producers_keep(producers);
}

void pl_producers_free(struct pl_producers *producers) {
    pl_producers_clear(producers);
    free(producers->slots);
    free(producers->ended);
    free(producers->undo);
    pl_producers_init(producers);
}

static uint32_t home_of(int64_t id, uint32_t slot_count) {
    return (uint32_t)(((uint64_t)id * 0x9e3779b97f4a7c15u) >> 32) & (slot_count - 1);
}

struct pl_producer *pl_producers_find(const struct pl_producers *producers, int64_t id) {
    if (producers->count == 0) {
        return NULL;
    }
    uint32_t mask = producers->slot_count - 1;
    for (uint32_t i = home_of(id, producers->slot_count);; i = (i + 1) & mask) {
        struct pl_producer *found = producers->slots[i];
        if (found == NULL || found->id == id) {
            return found;
        }
    }
}

static void place(struct pl_producer **slots, uint32_t slot_count, struct pl_producer *producer) {
    uint32_t i = home_of(producer->id, slot_count);
    while (slots[i] != NULL) {
        i = (i + 1) & (slot_count - 1);
    }
    slots[i] = producer;
}

static enum pl_err grow(struct pl_producers *producers) {
    uint32_t slot_count = producers->slot_count == 0 ? FIRST_SLOTS : producers->slot_count * 2;
    struct pl_producer **slots = calloc(slot_count, sizeof(struct pl_producer *));
    if (slots == NULL) {
        return PL_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        if (producers->slots[i] != NULL) {
            place(slots, slot_count, producers->slots[i]);
        }
    }
    free(producers->slots);
    producers->slots = slots;
    producers->slot_count = slot_count;
    return PL_OK;
}

static enum pl_err insert(struct pl_producers *producers, int64_t id, struct pl_producer **made) {
    if (producers->count + producers->count / 2 >= producers->slot_count) {
        enum pl_err err = grow(producers);
        if (err != PL_OK) {
            return err;
        }
    }
    struct pl_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        return PL_ERR_MEMORY;
    }
    producer->id = id;
    producer->last_timestamp_ms = -1;
    producer->txn_first_offset = -1;
    producer->coordinator_epoch = -1;
    producer->epoch = PL_NO_PRODUCER_EPOCH;
    place(producers->slots, producers->slot_count, producer);
    producers->count++;
    *made = producer;
    return PL_OK;
}

static void take_out(struct pl_producers *producers, const struct pl_producer *producer) {
    uint32_t mask = producers->slot_count - 1;
    uint32_t hole = home_of(producer->id, producers->slot_count);
    while (producers->slots[hole] != producer) {
        hole = (hole + 1) & mask;
    }
    for (uint32_t i = (hole + 1) & mask; producers->slots[i] != NULL; i = (i + 1) & mask) {
        uint32_t home = home_of(producers->slots[i]->id, producers->slot_count);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            producers->slots[hole] = producers->slots[i];
            hole = i;
        }
    }
    producers->slots[hole] = NULL;
    producers->count--;
}

/* ---- open transactions ---- */

static void open_link(struct pl_producers *producers, struct pl_producer *producer) {
    struct pl_producer *before = producers->last_open; /* nearly always the right place */
    while (before != NULL && before->txn_first_offset > producer->txn_first_offset) {
        before = before->open_before;
    }
    struct pl_producer *after = before == NULL ? producers->first_open : before->open_after;
    producer->open_before = before;
    producer->open_after = after;
    *(before == NULL ? &producers->first_open : &before->open_after) = producer;
    *(after == NULL ? &producers->last_open : &after->open_before) = producer;
}

static void open_unlink(struct pl_producers *producers, struct pl_producer *producer) {
    struct pl_producer *before = producer->open_before, *after = producer->open_after;
    *(before == NULL ? &producers->first_open : &before->open_after) = after;
    *(after == NULL ? &producers->last_open : &after->open_before) = before;
    producer->open_before = producer->open_after = NULL;
}

static void open_relink(struct pl_producers *producers) {
    producers->first_open = producers->last_open = NULL;
    for (uint32_t i = 0; i < producers->slot_count; i++) {
        struct pl_producer *producer = producers->slots[i];
        if (producer != NULL && producer->txn_first_offset >= 0) {
            open_link(producers, producer);
        }
    }
}

int64_t pl_producers_first_unstable(const struct pl_producers *producers) {
    int64_t first = producers->first_open != NULL ? producers->first_open->txn_first_offset : -1;
    for (uint32_t i = 0; i < producers->ended_count; i++) {
        if (first < 0 || producers->ended[i].first_offset < first) {
            first = producers->ended[i].first_offset;
        }
    }
    return first;
}

void pl_producers_forget_ended(struct pl_producers *producers, int64_t high_watermark) {
    uint32_t gone = 0;
    while (gone < producers->ended_kept && producers->ended[gone].marker_offset < high_watermark) {
        gone++;
    }
    if (gone == 0) {
        return;
    }
    producers->ended_count -= gone;
    producers->ended_kept -= gone;
    producers->marked_ended -= gone;
    memmove(producers->ended, producers->ended + gone,
            producers->ended_count * sizeof *producers->ended);
}

/* ---- undo ---- */

/* Keeps what the producer was before its first change since the last keep or mark. */
static enum pl_err remember(struct pl_producers *producers, struct pl_producer *producer,
                            bool created) {
    if (producer->turn == producers->turn) {
        return PL_OK;
    }
    if (producers->undo_count == producers->undo_room) {
        uint32_t room = producers->undo_room == 0 ? FIRST_ROOM : producers->undo_room * 2;
        struct pl_producer_undo *undo = realloc(producers->undo, room * sizeof *undo);
        if (undo == NULL) {
            return PL_ERR_MEMORY;
        }
        producers->undo = undo;
        producers->undo_room = room;
    }
    struct pl_producer_undo *undo = &producers->undo[producers->undo_count++];
    undo->producer = producer;
    undo->before = *producer;
    undo->created = created;
    producer->turn = producers->turn;
    return PL_OK;
}

static void next_turn(struct pl_producers *producers) {
    producers->turn++;
    if (producers->turn == 0) {
        producers->turn = 1; /* 0: never changed */
    }
}

void pl_producers_mark(struct pl_producers *producers) {
    producers->marked_undo = producers->undo_count;
    producers->marked_ended = producers->ended_count;
    producers->marked_turn = producers->turn;
    next_turn(producers);
}

void pl_producers_keep_marked(struct pl_producers *producers) {
    uint32_t kept = producers->marked_undo;
    producers->undo_count -= kept;
    if (producers->undo_count > 0) {
        memmove(producers->undo, producers->undo + kept,
                producers->undo_count * sizeof *producers->undo);
    }
    producers->ended_kept = producers->marked_ended;
    producers->marked_undo = 0;
    producers->marked_turn = producers->turn;
}

void pl_producers_keep(struct pl_producers *producers) {
    pl_producers_mark(producers);
    pl_producers_keep_marked(producers);
}

void pl_producers_undo(struct pl_producers *producers) {
    while (producers->undo_count > 0) {
        struct pl_producer_undo *undo = &producers->undo[--producers->undo_count];
        if (undo->created) {
            take_out(producers, undo->producer);
            free(undo->producer);
        } else {
            *undo->producer = undo->before;
        }
    }
    producers->ended_count = producers->ended_kept;
    open_relink(producers);
    pl_producers_keep(producers);
}

/* ---- changes ---- */

static enum pl_err obtain(struct pl_producers *producers, int64_t id, struct pl_producer **found) {
    *found = pl_producers_find(producers, id);
    if (*found != NULL) {
        return remember(producers, *found, false);
    }
    enum pl_err err = insert(producers, id, found);
    if (err != PL_OK) {
        return err;
    }
    err = remember(producers, *found, true);
    if (err != PL_OK) {
        take_out(producers, *found);
        free(*found);
    }
    return err;
}

static void set_epoch(struct pl_producer *producer, int16_t epoch) {
    if (producer->epoch != epoch) {
        producer->batch_count = producer->batch_next = 0;
    }
    producer->epoch = epoch;
}

const struct pl_producer_batch *pl_producer_last_batch(const struct pl_producer *producer) {
    if (producer->batch_count == 0) {
        return NULL;
    }
    unsigned last = (producer->batch_next + PL_PRODUCER_BATCHES_KEPT - 1u);
    return &producer->batches[last % PL_PRODUCER_BATCHES_KEPT];
}

static void push_batch(struct pl_producer *producer, const struct pl_producer_batch *batch) {
    producer->batches[producer->batch_next] = *batch;
    producer->batch_next = (uint8_t)((producer->batch_next + 1) % PL_PRODUCER_BATCHES_KEPT);
    if (producer->batch_count < PL_PRODUCER_BATCHES_KEPT) {
        producer->batch_count++;
    }
}

enum pl_err pl_producers_add_batch(struct pl_producers *producers,
                                   const struct pl_batch_header *header) {
    struct pl_producer *producer;
    enum pl_err err = obtain(producers, header->producer_id, &producer);
    if (err != PL_OK) {
        return err;
    }
    set_epoch(producer, header->producer_epoch);
    struct pl_producer_batch batch = {
        .last_offset = pl_batch_last_offset(header),
        .timestamp_ms = header->max_timestamp,
        .last_sequence = pl_batch_last_sequence(header),
        .offset_delta = header->last_offset_delta,
    };
    push_batch(producer, &batch);
    producer->last_timestamp_ms = header->max_timestamp;
    if (pl_batch_is(header, PL_BATCH_TRANSACTIONAL) && producer->txn_first_offset < 0) {
        producer->txn_first_offset = header->base_offset;
        open_link(producers, producer);
    }
    return PL_OK;
}

static enum pl_err reserve_ended(struct pl_producers *producers) {
    if (producers->ended_count < producers->ended_room) {
        return PL_OK;
    }
    uint32_t room = producers->ended_room == 0 ? FIRST_ROOM : producers->ended_room * 2;
    struct pl_ended_txn *ended = realloc(producers->ended, room * sizeof *ended);
    if (ended == NULL) {
        return PL_ERR_MEMORY;
    }
    producers->ended = ended;
    producers->ended_room = room;
    return PL_OK;
}

enum pl_err pl_producers_add_marker(struct pl_producers *producers,
                                    const struct pl_batch_header *header,
                                    const struct pl_txn_marker *marker, struct pl_txn_end *end) {
    struct pl_producer *producer;
    enum pl_err err = reserve_ended(producers);
    if (err == PL_OK) {
        err = obtain(producers, header->producer_id, &producer);
    }
    if (err != PL_OK) {
        return err;
    }
    set_epoch(producer, header->producer_epoch);
    producer->coordinator_epoch = marker->coordinator_epoch;
    producer->last_timestamp_ms = marker->timestamp_ms;
    *end = (struct pl_txn_end){.first_offset = producer->txn_first_offset};
    if (producer->txn_first_offset >= 0) {
        producers->ended[producers->ended_count++] = (struct pl_ended_txn){
            .first_offset = producer->txn_first_offset,
            .marker_offset = header->base_offset,
        };
        open_unlink(producers, producer);
        producer->txn_first_offset = -1;
    }
    end->last_stable_offset = producers->first_open != NULL
                                  ? producers->first_open->txn_first_offset
                                  : header->base_offset + 1;
    return PL_OK;
}

enum pl_err pl_producers_note(struct pl_producers *producers, const struct pl_batch_header *header,
                              const uint8_t *batch, struct pl_txn_end *end) {
    *end = (struct pl_txn_end){.first_offset = -1};
    if (!pl_batch_is(header, PL_BATCH_CONTROL)) {
        return pl_producers_add_batch(producers, header);
    }
    struct pl_txn_marker marker;
    enum pl_err err = pl_txn_marker_parse(batch, header, &marker);
    if (err != PL_OK || !marker.is_marker) {
        return err;
    }
    err = pl_producers_add_marker(producers, header, &marker, end);
    end->aborted = err == PL_OK && marker.abort && end->first_offset >= 0;
    return err;
}

enum pl_err pl_producers_load(struct pl_producers *producers, const struct pl_producer *loaded) {
    struct pl_producer *made;
    enum pl_err err = insert(producers, loaded->id, &made);
    if (err != PL_OK) {
        return err;
    }
    *made = *loaded;
    made->turn = 0;
    if (made->txn_first_offset >= 0) {
        open_link(producers, made);
    }
    return PL_OK;
}

static bool may_change_back(const struct pl_producers *producers,
                            const struct pl_producer *producer) {
    return producer->turn == producers->turn || producer->turn == producers->marked_turn;
}

void pl_producers_expire(struct pl_producers *producers, int64_t before_ms) {
    for (uint32_t i = 0; i < producers->slot_count;) {
        struct pl_producer *producer = producers->slots[i];
        if (producer == NULL || producer->txn_first_offset >= 0 ||
            producer->last_timestamp_ms >= before_ms || may_change_back(producers, producer)) {
            i++;
            continue;
        }
        take_out(producers, producer); /* may have moved another one to slot i */
        free(producer);
    }
}
