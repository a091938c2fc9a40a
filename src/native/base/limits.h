/* Every maximum of the native code in one place: loops, queues, and sizes from the wire.
 * Nothing is allocated by a size from the wire before it is checked against one of these. */
#ifndef PYLOG_BASE_LIMITS_H
#define PYLOG_BASE_LIMITS_H

enum {
    PL_MAX_FRAME_BYTES = 100 * 1024 * 1024, /* socket.request.max.bytes, Kafka's default */
    PL_MAX_TOPIC_NAME_BYTES = 249,
    PL_MAX_CLIENT_ID_BYTES = 32767,
    PL_MAX_RECORDS_PER_BATCH = 10 * 1000 * 1000,
    PL_MAX_BATCH_BYTES = 1 << 30,
    PL_MAX_TAGGED_FIELDS = 1024,
    PL_MAX_MESSAGE_ELEMENTS = 1 << 20, /* of all arrays of one control request */
    PL_MAX_HEADERS_PER_RECORD = 1 << 20,
    PL_MAX_PARTITIONS_PER_REQUEST = 200 * 1000,
    PL_MAX_DIRECT_WRITE_BYTES = 64 * 1024, /* of the reactor to a log; more is a worker's */
    PL_MAX_UNANSWERED_BYTES = 16 * 1024 * 1024, /* of requests of one connection; then it is not
                                                   read */
    PL_MAX_ALL_UNANSWERED_BYTES = 128 * 1024 * 1024, /* of all; then each has one at a time */
    PL_MAX_REPLY_SLOTS = 1024,    /* requests in flight of one connection; then it is not read */
    PL_MAX_EVENTS_PER_STEP = 512, /* of one epoll_wait */
    PL_MAX_IOV = 1024,            /* IOV_MAX of Linux */
    PL_MAX_ACCEPTS_PER_TURN = 16, /* of one listener */
    PL_MAX_CALLS_PER_TURN = 16,   /* answers and commands of Python; the fast lane comes between */
    PL_MAX_CONTROL_PER_TURN = 16, /* connections that talk to Python, likewise */
    PL_MAX_LISTENERS = 16,
    PL_MAX_READ_PER_TURN = 1024 * 1024,   /* bytes of one connection, so that none starves */
    PL_MAX_SEND_PER_TURN = 2048 * 1024,   /* likewise */
    PL_MAX_UNSENT_BYTES = 8 * 1024 * 1024, /* of one connection; then it is not read */
    PL_MAX_POOLED_SLOTS = 4096,
    PL_HALF_CLOSED_LINGER_MS = 30 * 1000, /* for answers to a client that sends no more */
    PL_MAX_FETCH_SESSIONS = 1000, /* max.incremental.fetch.session.cache.slots */
    PL_MAX_POOLED_BYTES = 64 * 1024 * 1024, /* unused buffers that a pool keeps warm */
    PL_MAX_SCRATCH_KEPT_BYTES = 8 * 1024 * 1024, /* of a codec or a builder, from use to use */
    PL_MAX_SUBJECTS = 100 * 1000, /* users at addresses whose access is controlled */
    PL_MAX_UNKNOWN_FRAME_BYTES = 512 * 1024, /* of a client that is not authenticated yet */
    PL_MAX_QUOTA_USAGES = 100 * 1000, /* users, client ids and pairs whose use is counted */
    PL_MAX_CLEANER_THREADS = 64, /* log.cleaner.threads */
    PL_PRODUCER_BATCHES_KEPT = 5, /* per producer id, for duplicates (Kafka's number) */
};

#endif
