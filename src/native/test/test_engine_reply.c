/* Answers of the control plane that hold records: bytes of its own, ranges of a log between them. */
#include "base/cursor.h"
#include "rig_produce.h"
#include "test/net_client.h"

enum { SMALL = 10, LARGE = 60000, CONTROL_KEY = 78, ROOMY = 1 << 20 };

static char folder[] = "/tmp/pylog-reply-XXXXXX";
static uint64_t partition;
static uint8_t *batches[2]; /* a small one and a large one, as the log has them */
static size_t lengths[2];

static struct pl_event await_done(uint64_t token) {
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_DONE);
    CHECK_EQ(event.token, token);
    CHECK_EQ(event.error, 0);
    return event;
}

static void open_partition(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/topic-0", folder);
    struct pl_log_config config = rig_config();
    const struct pl_partition_open open = {.topic = "topic", .folder = path, .config = &config};
    pl_engine_open_partitions(engine, 1, &open, 1, 0);
    struct pl_event event = await_done(1);
    struct pl_partition_opened opened;
    CHECK_EQ(event.length, sizeof opened);
    memcpy(&opened, event.data, sizeof opened);
    CHECK_EQ(opened.error, 0);
    partition = opened.handle;
    pl_event_free(&event);
}

static void append(int number, size_t value_bytes) {
    struct rig_batch batch = {.producer_id = -1, .sequence = -1, .producer_epoch = -1,
                              .records = 1, .value_bytes = value_bytes};
    batches[number] = rig_build(&batch, &lengths[number]);
    pl_engine_append(engine, 2, partition, batches[number], lengths[number], false,
                     PL_WAIT_COMMITTED);
    struct pl_event event = await_done(2);
    pl_event_free(&event);
    pl_put_u64(batches[number], (uint64_t)number); /* the offset that it has got */
    pl_put_u32(batches[number] + 12, 0);           /* and the leader epoch */
}

static struct pl_reply_part bytes_of(const char *text) {
    return (struct pl_reply_part){.bytes = (const uint8_t *)text, .length = strlen(text)};
}

static struct pl_reply_part records_at(int64_t offset, uint32_t max_bytes) {
    return (struct pl_reply_part){
        .partition = partition, .offset = offset, .max_bytes = max_bytes};
}

static void hang_up(int fd) {
    close(fd);
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
}

/* Asks, and is answered with these parts; the frame without its length, malloc'ed. */
static uint8_t *answer_of(int fd, const struct pl_reply_part *parts, int32_t count, size_t *n) {
    send_request(fd, CONTROL_KEY, 1, 0);
    struct pl_event event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_REQUEST);
    CHECK_OK(pl_engine_reply_parts(engine, event.handle, parts, count));
    pl_event_free(&event);
    uint8_t head[4];
    receive_bytes(fd, head, sizeof head);
    *n = pl_get_u32(head);
    uint8_t *frame = malloc(*n + 1);
    receive_bytes(fd, frame, *n);
    return frame;
}

/* The records at the cursor are these batches of the log. */
static void check_records(struct pl_cursor *in, int first, int last) {
    struct pl_span records = pl_cursor_compact_bytes(in);
    size_t at = 0;
    for (int i = first; i <= last; i++) {
        CHECK(records.length >= 0 && (size_t)records.length >= at + lengths[i]);
        CHECK_BYTES(records.data + at, batches[i], lengths[i]);
        at += lengths[i];
    }
    CHECK_EQ(records.length, at);
}

static void check_text(struct pl_cursor *in, const char *text) {
    const uint8_t *got = pl_cursor_take(in, strlen(text));
    CHECK(got != NULL);
    CHECK_BYTES(got, text, strlen(text));
}

static void records_stand_between_bytes_whether_copied_or_sent_from_the_file(void) {
    int fd = dial();
    const struct pl_reply_part parts[] = {bytes_of("head"), records_at(0, 1), bytes_of("middle"),
                                          records_at(1, ROOMY), records_at(0, ROOMY),
                                          bytes_of("tail")};
    size_t n;
    uint8_t *frame = answer_of(fd, parts, 6, &n);
    struct pl_cursor in = pl_cursor_open(frame, n);
    check_text(&in, "head");
    check_records(&in, 0, 0);
    check_text(&in, "middle");
    check_records(&in, 1, 1);
    check_records(&in, 0, 1);
    check_text(&in, "tail");
    CHECK_EQ(pl_cursor_left(&in), 0);
    free(frame);
    hang_up(fd);
}

static void records_that_are_gone_are_empty_and_the_answer_stands(void) {
    int fd = dial();
    struct pl_reply_part foreign = records_at(0, ROOMY);
    foreign.partition = partition + 1000;
    const struct pl_reply_part parts[] = {records_at(2, ROOMY), records_at(77, ROOMY), foreign,
                                          bytes_of("tail")};
    size_t n;
    uint8_t *frame = answer_of(fd, parts, 4, &n);
    struct pl_cursor in = pl_cursor_open(frame, n);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pl_cursor_compact_bytes(&in).length, 0);
    }
    check_text(&in, "tail");
    CHECK_EQ(pl_cursor_left(&in), 0);
    free(frame);
    hang_up(fd);
}

static void an_answer_to_a_connection_that_is_gone_leaves_nothing_behind(void) {
    int fd = dial();
    send_request(fd, CONTROL_KEY, 1, 0);
    struct pl_event event = next_event();
    uint64_t connection = event.handle;
    pl_event_free(&event);
    CHECK_OK(pl_engine_close_connection(engine, connection));
    check_closed(fd);
    event = next_event();
    CHECK_EQ(event.kind, PL_EVENT_CLOSED);
    pl_event_free(&event);
    const struct pl_reply_part parts[] = {bytes_of("head"), records_at(1, ROOMY)};
    CHECK_OK(pl_engine_reply_parts(engine, connection, parts, 2));
    int other = dial(); /* is served after the answer was dropped */
    size_t n;
    uint8_t *frame = answer_of(other, parts, 1, &n);
    CHECK_EQ(n, 4);
    free(frame);
    hang_up(other);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    struct pl_engine_options options = default_options();
    options.fetch_max_bytes = ROOMY;
    start_engine(&options);
    open_partition();
    append(0, SMALL);
    append(1, LARGE);
    RUN(records_stand_between_bytes_whether_copied_or_sent_from_the_file);
    RUN(records_that_are_gone_are_empty_and_the_answer_stands);
    RUN(an_answer_to_a_connection_that_is_gone_leaves_nothing_behind);
    stop_engine();
    free(batches[0]);
    free(batches[1]);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_OK(system(command));
    return check_end();
}
