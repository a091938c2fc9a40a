/* What lies where in a partition, for somebody who hands out records by offset. */
#include "broker/survey.h"

#include "rig_produce.h"

static struct rig rig;

enum { ROOMY = 1 << 20 };

struct seen { /* what a survey has told; the views are the rig's */
    const struct pl_batch_view *views;
    size_t count;
    int64_t next_offset;
    int16_t error;
};

static struct seen survey(uint64_t handle, int64_t offset, int64_t until_offset,
                          uint32_t max_bytes, bool read_committed) {
    uint64_t token = rig_token(&rig);
    pl_broker_survey(rig.broker, token, handle, offset, until_offset, max_bytes, read_committed);
    const struct pl_done *done = rig_await(&rig, token);
    CHECK_EQ(done->length % sizeof(struct pl_batch_view), 0);
    return (struct seen){(const void *)done->data, done->length / sizeof(struct pl_batch_view),
                         done->value, done->error};
}

static void append(int32_t records) {
    struct rig_batch batch = rig_plain(&rig, records, 10);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
}

static void append_in_transaction(uint64_t handle, int32_t sequence, enum pl_marker_type end) {
    struct rig_batch batch = rig_of_producer(&rig, 2, sequence);
    batch.transactional = true;
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    rig_write_marker(&rig, handle, 9, 1, end);
}

static void batches_are_told_with_their_offsets_and_sizes(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append(3);
    append(2);
    struct seen seen = survey(handle, 0, INT64_MAX, ROOMY, false);
    CHECK_EQ(seen.error, 0);
    CHECK_EQ(seen.count, 2);
    CHECK_EQ(seen.next_offset, 5);
    CHECK_EQ(seen.views[0].first_offset, 0);
    CHECK_EQ(seen.views[0].last_offset, 2);
    CHECK_EQ(seen.views[1].first_offset, 3);
    CHECK_EQ(seen.views[1].last_offset, 4);
    CHECK(seen.views[0].deliverable && seen.views[1].deliverable);
    struct pl_slice slice;
    CHECK_OK(pl_broker_locate(rig.broker, handle, 0, ROOMY, &slice));
    CHECK_EQ(seen.views[0].size_bytes + seen.views[1].size_bytes, slice.length);
    pl_segment_release(slice.segment);
    rig_close(&rig);
}

static void it_begins_in_the_batch_of_its_offset_and_ends_with_that_of_the_last(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    for (int i = 0; i < 5; i++) {
        append(3);
    }
    struct seen seen = survey(handle, 4, 9, ROOMY, false);
    CHECK_EQ(seen.count, 3);
    CHECK_EQ(seen.views[0].first_offset, 3);
    CHECK_EQ(seen.views[2].last_offset, 11);
    CHECK_EQ(seen.next_offset, 12);
    seen = survey(handle, 4, 4, ROOMY, false);
    CHECK_EQ(seen.count, 1);
    seen = survey(handle, 4, 0, ROOMY, false); /* behind its own offset: one batch at least */
    CHECK_EQ(seen.count, 1);
    seen = survey(handle, 4, INT64_MAX, 1, false); /* no room: likewise */
    CHECK_EQ(seen.count, 1);
    rig_close(&rig);
}

static void there_is_nothing_at_the_end_and_an_error_behind_it(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append(3);
    struct seen seen = survey(handle, 3, INT64_MAX, ROOMY, false);
    CHECK_EQ(seen.error, 0);
    CHECK_EQ(seen.count, 0);
    CHECK_EQ(seen.next_offset, 3);
    CHECK_EQ(survey(handle, 4, INT64_MAX, ROOMY, false).error, 1);
    CHECK_EQ(survey(handle, -1, INT64_MAX, ROOMY, false).error, 1);
    CHECK_EQ(rig_remove(&rig, handle, false), 0);
    CHECK_EQ(survey(handle, 0, INT64_MAX, ROOMY, false).error, 6);
    rig_close(&rig);
}

static void more_batches_than_one_window_holds_are_all_told(void) {
    enum { BATCHES = 1500 }; /* of about 90 bytes, and each tenth is larger than a window */
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch small = rig_plain(&rig, 1, 10), large = rig_plain(&rig, 1, 65000);
    int64_t bytes = 0;
    for (int i = 0; i < BATCHES; i++) {
        CHECK_EQ(rig_append(&rig, "topic", 0, i % 100 == 7 ? &large : &small).error, 0);
    }
    int64_t offset = 0;
    while (offset < BATCHES) { /* a survey ends with its segment */
        struct seen seen = survey(handle, offset, INT64_MAX, 1 << 30, false);
        CHECK_EQ(seen.error, 0);
        CHECK(seen.count > 0);
        for (size_t i = 0; i < seen.count; i++) {
            CHECK_EQ(seen.views[i].first_offset, offset);
            bytes += seen.views[i].size_bytes;
            offset++;
        }
        CHECK_EQ(seen.next_offset, offset);
    }
    CHECK(bytes > BATCHES / 100 * 65000);
    rig_close(&rig);
}

static void markers_are_not_to_be_delivered(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append_in_transaction(handle, 0, PL_MARKER_ABORT);
    struct seen seen = survey(handle, 0, INT64_MAX, ROOMY, false);
    CHECK_EQ(seen.count, 2);
    CHECK(seen.views[0].deliverable); /* who reads all gets what was aborted */
    CHECK(!seen.views[1].deliverable);
    rig_close(&rig);
}

static void aborted_batches_are_not_for_who_reads_committed(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append_in_transaction(handle, 0, PL_MARKER_ABORT);  /* 0, 1, marker 2 */
    append_in_transaction(handle, 2, PL_MARKER_COMMIT); /* 3, 4, marker 5 */
    append(1);                                          /* 6 */
    append_in_transaction(handle, 4, PL_MARKER_ABORT);  /* 7, 8, marker 9 */
    struct seen seen = survey(handle, 0, INT64_MAX, ROOMY, true);
    const bool expected[] = {false, false, true, false, true, false, false};
    CHECK_EQ(seen.count, sizeof expected);
    for (size_t i = 0; i < seen.count; i++) {
        CHECK_EQ(seen.views[i].deliverable, expected[i]);
    }
    CHECK(!survey(handle, 8, INT64_MAX, ROOMY, true).views[0].deliverable);
    CHECK(survey(handle, 4, INT64_MAX, ROOMY, true).views[0].deliverable);
    rig_close(&rig);
}

static void many_aborted_transactions_are_all_known(void) {
    enum { TRANSACTIONS = 20 }; /* more than there is room for at first */
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    for (int32_t i = 0; i < TRANSACTIONS; i++) {
        append_in_transaction(handle, 2 * i, i % 5 == 0 ? PL_MARKER_COMMIT : PL_MARKER_ABORT);
    }
    struct seen seen = survey(handle, 0, INT64_MAX, ROOMY, true);
    CHECK_EQ(seen.count, 2 * TRANSACTIONS);
    for (size_t i = 0; i < seen.count; i++) {
        CHECK_EQ(seen.views[i].deliverable, i % 10 == 0);
    }
    rig_close(&rig);
}

static void an_open_transaction_ends_what_who_reads_committed_sees(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append(1);
    struct rig_batch batch = rig_of_producer(&rig, 2, 0);
    batch.transactional = true;
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    append(1);
    CHECK_EQ(survey(handle, 0, INT64_MAX, ROOMY, true).count, 1);
    CHECK_EQ(survey(handle, 0, INT64_MAX, ROOMY, false).count, 3);
    rig_close(&rig);
}

static enum pl_err read_zeroes(void *context, int fd, void *bytes, size_t n, uint64_t at,
                               size_t *got) {
    (void)context, (void)fd, (void)at;
    memset(bytes, 0, n);
    *got = n;
    return PL_OK;
}

static enum pl_err read_less(void *context, int fd, void *bytes, size_t n, uint64_t at,
                             size_t *got) {
    enum pl_err err = pl_fs_real.read_at(context, fd, bytes, n, at, got);
    *got = *got > 20 ? *got - 20 : 0;
    return err;
}

static enum pl_err read_nothing(void *context, int fd, void *bytes, size_t n, uint64_t at,
                                size_t *got) {
    (void)context, (void)fd, (void)bytes, (void)n, (void)at, (void)got;
    return PL_ERR_IO;
}

static void a_file_that_cannot_be_read_is_an_error_and_no_batch_is_made_up(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    append(3);
    struct pl_slice slice;
    CHECK_OK(pl_broker_locate(rig.broker, handle, 0, ROOMY, &slice));
    enum pl_err (*const reads[])(void *, int, void *, size_t, uint64_t, size_t *) = {
        read_zeroes, read_less, read_nothing};
    const enum pl_err expected[] = {PL_ERR_CORRUPT, PL_ERR_CORRUPT, PL_ERR_IO};
    for (int i = 0; i < 3; i++) {
        struct pl_fs fs = pl_fs_real;
        fs.read_at = reads[i];
        struct pl_survey survey = {.fs = &fs, .until_offset = INT64_MAX};
        CHECK_EQ(pl_survey_run(&survey, &slice), expected[i]);
        CHECK_EQ(survey.count, 0);
        pl_survey_close(&survey);
    }
    pl_segment_release(slice.segment);
    rig_close(&rig);
}

int main(void) {
    RUN(batches_are_told_with_their_offsets_and_sizes);
    RUN(it_begins_in_the_batch_of_its_offset_and_ends_with_that_of_the_last);
    RUN(there_is_nothing_at_the_end_and_an_error_behind_it);
    RUN(more_batches_than_one_window_holds_are_all_told);
    RUN(markers_are_not_to_be_delivered);
    RUN(aborted_batches_are_not_for_who_reads_committed);
    RUN(many_aborted_transactions_are_all_known);
    RUN(an_open_transaction_ends_what_who_reads_committed_sees);
    RUN(a_file_that_cannot_be_read_is_an_error_and_no_batch_is_made_up);
    return check_end();
}
