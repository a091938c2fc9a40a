#include "bench/run.h"

static void count_request(struct pl_run *run, struct pl_link *link, uint64_t records,
                          size_t bytes) {
    if (!pl_run_measuring(run)) {
        return;
    }
    link->counted++;
    run->result->requests++;
    run->result->records += records;
    run->result->payload_bytes += records * (uint64_t)run->options->record_bytes;
    run->result->wire_bytes += bytes;
}

static void add_latency(struct pl_run *run, uint64_t since_ns) {
    if (pl_run_measuring(run)) {
        pl_histogram_add(&run->latencies, run->now_ns > since_ns ? run->now_ns - since_ns : 0);
    }
}

static void add_arrivals(struct pl_run *run, const struct pl_link *link, int64_t first,
                         int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        add_latency(run, pl_schedule_arrival_ns(run, link, first + i));
    }
}

static void take_produce(struct pl_run *run, struct pl_link *link,
                         const struct pl_in_flight *request, size_t length) {
    if (run->options->mode != PL_LOAD_PRODUCE) {
        return; /* end to end, the consumer's answers count */
    }
    count_request(run, link, (uint64_t)request->records,
                  length + request->header_length + request->batch_length);
    if (run->options->records_per_s > 0) {
        add_arrivals(run, link, request->first_arrival, request->records);
    } else {
        add_latency(run, request->begin_ns);
    }
}

static void take_arrivals(struct pl_run *run, struct pl_link *link,
                          const struct pl_in_flight *request, size_t length, int64_t next_offset) {
    if (next_offset <= link->offset) {
        return; /* a long poll that found nothing */
    }
    int64_t fresh = next_offset - link->offset;
    count_request(run, link, (uint64_t)fresh, length + request->header_length);
    add_arrivals(run, link, link->received, fresh);
    link->received += fresh;
    link->offset = next_offset;
}

static void take_fetch(struct pl_run *run, struct pl_link *link,
                       const struct pl_in_flight *request, size_t length,
                       const struct pl_answer *answer) {
    if (answer->next_offset < 0) {
        link->offset = answer->start_offset;
        return;
    }
    /* A batch may begin below the offset that was asked for. */
    count_request(run, link, (uint64_t)(answer->next_offset - request->offset),
                  length + request->header_length);
    if (run->options->records_per_s > 0) {
        add_arrivals(run, link, request->first_arrival, 1);
    } else {
        add_latency(run, request->begin_ns);
    }
    bool at_end = answer->next_offset >= answer->high_watermark;
    link->offset = at_end ? answer->start_offset : answer->next_offset;
}

static enum pl_err read_answer(const struct pl_run *run, bool fetched, int64_t offset,
                               const uint8_t *bytes, size_t length, struct pl_answer *answer) {
    if (run->options->raw) {
        return pl_answer_raw(bytes, length, offset, answer);
    }
    return fetched ? pl_answer_fetch(bytes, length, answer)
                   : pl_answer_produce(bytes, length, answer);
}

void pl_run_take_answer(struct pl_run *run, struct pl_link *link, const uint8_t *bytes,
                        size_t length) {
    struct pl_in_flight *request = pl_link_entry(run, link, link->head);
    struct pl_answer answer;
    enum pl_err err = read_answer(run, link->reads, request->offset, bytes, length, &answer);
    if (err != PL_OK || link->head == link->tail ||
        answer.correlation_id != request->correlation_id) {
        pl_run_fail(run, "an answer of %zu bytes is not the one expected", length);
        return;
    }
    if (answer.error != 0) {
        run->result->error_code = answer.error;
        pl_run_fail(run, "the broker answered with error code %d", answer.error);
        return;
    }
    if (!link->reads) {
        take_produce(run, link, request, length);
    } else if (run->options->mode == PL_LOAD_END_TO_END) {
        take_arrivals(run, link, request, length, answer.next_offset);
    } else {
        take_fetch(run, link, request, length, &answer);
    }
    link->head++;
}
