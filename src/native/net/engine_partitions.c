/* The calls of pylog/engine.h about partitions: copied, queued, and passed to the broker on the
 * reactor; those that may run on any thread go to it directly. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/partition_table.h"
#include "log/log.h"
#include "net/engine_call.h"

static void *copy_of(const void *bytes, size_t length) {
    void *copy = malloc(length > 0 ? length : 1);
    if (copy != NULL && length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

static struct pl_broker *broker_of(const struct pl_call *call) {
    return call->engine->reactor.broker;
}

/* ---- opening ---- */

struct packed_open { /* one allocation: the array, then configurations, then texts */
    struct pl_partition_open *partitions;
    struct pl_log_config *configs;
    char *texts;
};

static size_t text_bytes(const struct pl_partition_open *partitions, int32_t count) {
    size_t bytes = 0;
    for (int32_t i = 0; i < count; i++) {
        bytes += strlen(partitions[i].topic) + strlen(partitions[i].folder) + 2;
    }
    return bytes;
}

static const char *pack_text(struct packed_open *packed, const char *text) {
    size_t size = strlen(text) + 1;
    char *at = memcpy(packed->texts, text, size);
    packed->texts += size;
    return at;
}

static struct pl_partition_open *pack(const struct pl_partition_open *partitions, int32_t count) {
    size_t n = (size_t)count;
    struct packed_open packed;
    packed.partitions = malloc(n * (sizeof *packed.partitions + sizeof *packed.configs) +
                               text_bytes(partitions, count));
    if (packed.partitions == NULL) {
        return NULL;
    }
    packed.configs = (struct pl_log_config *)(packed.partitions + n);
    packed.texts = (char *)(packed.configs + n);
    for (size_t i = 0; i < n; i++) {
        packed.configs[i] = *partitions[i].config;
        packed.partitions[i] = partitions[i];
        packed.partitions[i].config = &packed.configs[i];
        packed.partitions[i].topic = pack_text(&packed, partitions[i].topic);
        packed.partitions[i].folder = pack_text(&packed, partitions[i].folder);
    }
    return packed.partitions;
}

static void run_open(struct pl_call *call) {
    pl_broker_open_partitions(broker_of(call), call->token, call->bytes, call->count,
                              (int32_t)call->number);
}

void pl_engine_open_partitions(struct pl_engine *engine, uint64_t token,
                               const struct pl_partition_open *partitions, int32_t count,
                               int32_t parallel) {
    struct pl_call call = {.token = token, .count = count, .number = parallel};
    call.bytes = pack(partitions, count);
    if (call.bytes == NULL) {
        pl_engine_fail_token(engine, token);
        return;
    }
    pl_call_send_or_fail(engine, run_open, &call);
}

static void run_cancel(struct pl_call *call) {
    pl_broker_cancel_openings(broker_of(call));
}

int pl_engine_cancel_openings(struct pl_engine *engine) {
    return pl_call_send(engine, run_cancel, &(struct pl_call){0}) ? 0 : ENOMEM;
}

static void run_withdraw(struct pl_call *call) {
    pl_broker_withdraw_partition(broker_of(call), call->bytes, call->count);
}

int pl_engine_withdraw_partition(struct pl_engine *engine, const uint8_t *topic_id,
                                 int32_t partition) {
    struct pl_call call = {.count = partition, .bytes = copy_of(topic_id, PL_TOPIC_ID_BYTES)};
    if (call.bytes == NULL || !pl_call_send(engine, run_withdraw, &call)) {
        free(call.bytes);
        return ENOMEM;
    }
    return 0;
}

/* ---- closing, configuring ---- */

static void run_fail(struct pl_call *call) {
    pl_broker_fail_partitions(broker_of(call), call->bytes, call->count);
}

int pl_engine_fail_partitions(struct pl_engine *engine, const uint64_t *handles, int32_t count) {
    struct pl_call call = {.count = count};
    call.bytes = copy_of(handles, (size_t)count * sizeof *handles);
    if (call.bytes == NULL || !pl_call_send(engine, run_fail, &call)) {
        free(call.bytes);
        return ENOMEM;
    }
    return 0;
}

static void run_close(struct pl_call *call) {
    pl_broker_close_partitions(broker_of(call), call->token, call->bytes, call->count,
                               call->flag);
}

void pl_engine_close_partitions(struct pl_engine *engine, uint64_t token, const uint64_t *handles,
                                int32_t count, bool delete_files) {
    struct pl_call call = {.token = token, .count = count, .flag = delete_files};
    call.bytes = copy_of(handles, (size_t)count * sizeof *handles);
    if (call.bytes == NULL) {
        pl_engine_fail_token(engine, token);
        return;
    }
    pl_call_send_or_fail(engine, run_close, &call);
}

void pl_engine_configure_partition(struct pl_engine *engine, uint64_t handle,
                                   const struct pl_log_config *config) {
    pl_broker_configure_partition(engine->reactor.broker, handle, config);
}

static void run_configure_cleaner(struct pl_call *call) {
    pl_broker_configure_cleaner(broker_of(call), call->bytes);
}

int pl_engine_configure_cleaner(struct pl_engine *engine,
                                const struct pl_cleaner_settings *settings) {
    const struct pl_call call = {.bytes = copy_of(settings, sizeof *settings)};
    if (call.bytes == NULL || !pl_call_send(engine, run_configure_cleaner, &call)) {
        free(call.bytes);
        return ENOMEM;
    }
    return 0;
}

/* ---- looking ---- */

int16_t pl_engine_partition_offsets(struct pl_engine *engine, uint64_t handle,
                                    struct pl_partition_offsets *offsets) {
    return pl_broker_partition_offsets(engine->reactor.broker, handle, offsets);
}

int16_t pl_engine_epoch_end(struct pl_engine *engine, uint64_t handle, int32_t epoch,
                            int32_t *found_epoch, int64_t *end_offset) {
    return pl_broker_epoch_end(engine->reactor.broker, handle, epoch, found_epoch, end_offset);
}

int16_t pl_engine_producers(struct pl_engine *engine, uint64_t handle,
                            struct pl_producer_view *views, size_t *count) {
    return pl_broker_producers(engine->reactor.broker, handle, views, count);
}

/* ---- records ---- */

static void run_append(struct pl_call *call) {
    uint8_t *bytes = call->bytes;
    call->bytes = NULL;
    pl_broker_append(broker_of(call), call->token, call->handle, bytes, call->length, call->flag,
                     call->wait);
}

void pl_engine_append(struct pl_engine *engine, uint64_t token, uint64_t handle,
                      const uint8_t *bytes, size_t length, bool coordinator,
                      enum pl_append_wait wait) {
    struct pl_call call = {
        .token = token, .handle = handle, .length = length, .flag = coordinator, .wait = wait};
    call.bytes = copy_of(bytes, length);
    if (call.bytes == NULL) {
        pl_engine_fail_token(engine, token);
        return;
    }
    pl_call_send_or_fail(engine, run_append, &call);
}

static void run_read(struct pl_call *call) {
    pl_broker_read(broker_of(call), call->token, call->handle, call->number, call->max_bytes,
                   call->flag);
}

void pl_engine_read(struct pl_engine *engine, uint64_t token, uint64_t handle, int64_t offset,
                    uint32_t max_bytes, bool to_log_end) {
    const struct pl_call call = {.token = token,
                                 .handle = handle,
                                 .number = offset,
                                 .max_bytes = max_bytes,
                                 .flag = to_log_end};
    pl_call_send_or_fail(engine, run_read, &call);
}

static void run_survey(struct pl_call *call) {
    pl_broker_survey(broker_of(call), call->token, call->handle, call->number, call->until,
                     call->max_bytes, call->flag);
}

void pl_engine_survey(struct pl_engine *engine, uint64_t token, uint64_t handle, int64_t offset,
                      int64_t until_offset, uint32_t max_bytes, bool read_committed) {
    const struct pl_call call = {.token = token,
                                 .handle = handle,
                                 .number = offset,
                                 .until = until_offset,
                                 .max_bytes = max_bytes,
                                 .flag = read_committed};
    pl_call_send_or_fail(engine, run_survey, &call);
}

static void run_await(struct pl_call *call) {
    pl_broker_await_readable(broker_of(call), call->token, call->handle, call->number, call->flag);
}

void pl_engine_await_readable(struct pl_engine *engine, uint64_t token, uint64_t handle,
                              int64_t offset, bool read_committed) {
    const struct pl_call call = {
        .token = token, .handle = handle, .number = offset, .flag = read_committed};
    pl_call_send_or_fail(engine, run_await, &call);
}

static void run_find_time(struct pl_call *call) {
    pl_broker_find_time(broker_of(call), call->token, call->handle, call->number, call->flag);
}

void pl_engine_find_time(struct pl_engine *engine, uint64_t token, uint64_t handle,
                         int64_t timestamp_ms, bool read_committed) {
    const struct pl_call call = {
        .token = token, .handle = handle, .number = timestamp_ms, .flag = read_committed};
    pl_call_send_or_fail(engine, run_find_time, &call);
}

static void run_delete_records(struct pl_call *call) {
    pl_broker_delete_records(broker_of(call), call->token, call->handle, call->number);
}

void pl_engine_delete_records(struct pl_engine *engine, uint64_t token, uint64_t handle,
                              int64_t before_offset) {
    const struct pl_call call = {.token = token, .handle = handle, .number = before_offset};
    pl_call_send_or_fail(engine, run_delete_records, &call);
}
