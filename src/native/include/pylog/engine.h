/* The engine: sockets, requests of the fast lane, partitions and their files.
 *
 * Two threads meet here. The reactor runs inside pl_engine_run and owns every connection and
 * the partition table. Everybody else calls the functions below, from any thread: what must
 * happen on the reactor or on a worker is queued, and its end is told by an event.
 *
 * Calls that take a `token` end in exactly one PL_EVENT_DONE with that token, whatever happens;
 * the others are done on return. Pointers passed in are copied before the call returns.
 * Codes in `error` are those of Kafka's protocol (0: none).
 */
#ifndef PYLOG_ENGINE_H
#define PYLOG_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pl_engine;
struct pl_log_config; /* log/log.h */

struct pl_engine_options {
    int32_t node_id;
    int32_t worker_threads;
    int32_t max_connections;
    int32_t max_frame_bytes;       /* socket.request.max.bytes */
    int32_t fetch_max_bytes;       /* fetch.max.bytes */
    int32_t fetch_session_slots;   /* max.incremental.fetch.session.cache.slots */
    int32_t send_buffer_bytes;     /* socket.send.buffer.bytes, -1: the system decides */
    int32_t receive_buffer_bytes;  /* socket.receive.buffer.bytes, likewise */
    int64_t idle_timeout_ms;       /* connections.max.idle.ms, -1: never */
    int64_t housekeep_interval_ms; /* log.retention.check.interval.ms */
};

struct pl_engine *pl_engine_create(const struct pl_engine_options *options);
/* Only after pl_engine_run has returned, or when it never ran. Closes logs that are open; a DONE
 * that was still owed is dropped. */
void pl_engine_destroy(struct pl_engine *engine);

/* Binds and listens at once (connections wait in the backlog until the reactor runs); port 0
 * takes a free one. Returns 0 or an errno (EADDRINUSE, EACCES, …); *bound_port is the real one. */
int pl_engine_listen(struct pl_engine *engine, uint8_t listener, const char *host, uint16_t port,
                     uint16_t *bound_port);

/* The reactor: calls with a token and the control of partitions work as soon as it runs, but
 * no connection is accepted before pl_engine_serve. Returns after pl_engine_stop: 0, or an errno
 * when the reactor itself broke. */
int pl_engine_run(struct pl_engine *engine);
int pl_engine_serve(struct pl_engine *engine); /* 0 or ENOMEM */
/* Ends serving, not the reactor: closes the listeners, reads no more requests, answers what is in
 * flight within drain_ms, closes the connections, then DONE. Partitions can still be used. */
void pl_engine_drain(struct pl_engine *engine, uint64_t token, int64_t drain_ms);
/* Makes pl_engine_run return, without a drain. */
void pl_engine_stop(struct pl_engine *engine);

/* ---- events, to one consumer thread ---- */

enum pl_event_kind {
    PL_EVENT_REQUEST = 1, /* of the control lane: owes one pl_engine_reply */
    PL_EVENT_DONE,        /* of a call with a token */
    PL_EVENT_CLOSED,      /* a connection that had sent a control request is gone */
    PL_EVENT_OFFLINE,     /* a log went offline: handle is its partition's */
    PL_EVENT_UNCLEANABLE, /* a log holds what compaction can't read, and is left as it is until
                             the next start: handle is its partition's */
    PL_EVENT_OPENED,  /* of a listener that asks: owes one pl_engine_admit; peer, local, listener */
    PL_EVENT_WARNING,     /* data: text for the operator's log */
    PL_EVENT_VERIFY,      /* transactions begin on partitions: owes one pl_engine_verified.
                             client_id: the transactional id; api_version: of the Produce;
                             data: array of struct pl_verification */
    PL_EVENT_LOG_OPENED,  /* token: of the call that opens it; value: its number there;
                             data: struct pl_partition_opened */
};

struct pl_event {
    int32_t kind;
    int16_t api_key, api_version; /* request */
    int32_t correlation_id;
    int32_t client_id_length;     /* -1: null */
    uint8_t listener;
    uint64_t handle;              /* connection or partition */
    uint64_t token;
    int16_t error;                /* done */
    int64_t value, value2;        /* done: see each call */
    const char *client_id;
    const uint8_t *data;          /* request: the body after the header; done: see each call */
    size_t length;
    uint64_t received_ns;         /* monotonic, when the frame was whole */
    char peer[64];                /* request: address of the client, text without the port */
    char local[64];               /* request: address that the client reached, likewise */
    void *storage;                /* of data; given back by pl_event_free */
};

int pl_engine_event_fd(const struct pl_engine *engine); /* readable while events wait */
/* Up to `room` events; returns how many. The caller frees each. */
int pl_engine_poll(struct pl_engine *engine, struct pl_event *events, int room);
void pl_event_free(struct pl_event *event);

/* `bytes` is the reply without its length prefix: header and body. A connection that is gone is
 * no error. Zero bytes: the connection goes on without an answer. Returns 0, ENOMEM or EMSGSIZE. */
int pl_engine_reply(struct pl_engine *engine, uint64_t connection, const uint8_t *bytes,
                    size_t length);
/* The same, of parts in order. Records come with their compact length in front (KIP-482); those
 * that are gone by then, as after a deletion of records, come as none. */
struct pl_reply_part {
    const uint8_t *bytes; /* NULL: records */
    size_t length;        /* of the bytes */
    uint64_t partition;   /* records: handle, */
    int64_t offset;       /*   whole batches from the one that holds it, below the high watermark, */
    uint32_t max_bytes;   /*   up to this size, but at least one */
};
int pl_engine_reply_parts(struct pl_engine *engine, uint64_t connection,
                          const struct pl_reply_part *parts, int32_t count);
int pl_engine_close_connection(struct pl_engine *engine, uint64_t connection);

/* A producer's first batch of a transaction on a partition. The transaction coordinator says
 * whether the partition takes part; without that a late batch would stay in a transaction that
 * nobody ends (KIP-890). Meanwhile the connection waits, as for a request of the control lane. */
struct pl_verification {
    uint64_t partition; /* handle */
    int64_t producer_id;
    int16_t producer_epoch;
    int16_t error; /* of the answer: 0, or what the producer is told */
};
/* The answers to one PL_EVENT_VERIFY, as many as it has asked for. Returns 0 or ENOMEM. */
int pl_engine_verified(struct pl_engine *engine, uint64_t connection,
                       const struct pl_verification *answers, int32_t count);

/* ---- who clients are, and what they may do ---- */

/* What connections of a listener have to pass before they are served. */
enum pl_guard {
    PL_GUARD_NONE = 0,
    PL_GUARD_ASK = 1,  /* PL_EVENT_OPENED first; they are not read before pl_engine_admit */
    PL_GUARD_SASL = 2, /* they may send ApiVersions, SaslHandshake and SaslAuthenticate only,
                          before pl_engine_identify */
};
/* Holds for connections that are accepted afterwards; `guards` are or-ed. Returns 0 or ENOMEM. */
int pl_engine_guard(struct pl_engine *engine, uint8_t listener, int guards);
int pl_engine_admit(struct pl_engine *engine, uint64_t connection);
/* The connection is that of a user from now on, for so long (-1: for ever): then it has to
 * authenticate again (KIP-368). Without authentication, ANONYMOUS is identified too, to give it
 * a subject. Returns 0 or ENOMEM. */
int pl_engine_identify(struct pl_engine *engine, uint64_t connection, const char *user,
                       uint32_t subject, int64_t lifetime_ms);
/* SaslHandshake version 0: frames are bare tokens, told as SaslAuthenticate version -1, until the
 * connection is identified. Returns 0 or ENOMEM. */
int pl_engine_expect_tokens(struct pl_engine *engine, uint64_t connection);
/* Like pl_engine_reply, but zero bytes are sent as an empty frame. */
int pl_engine_send_token(struct pl_engine *engine, uint64_t connection, const uint8_t *bytes,
                         size_t length);

enum pl_access_bit { PL_ACCESS_READ = 1, PL_ACCESS_WRITE = 2 };
struct pl_grant { /* what a subject may do to a topic */
    const char *topic;
    uint8_t bits;
};
/* A subject (from 1 on) is a user at an address; see broker/access.h. `otherwise` holds for topics
 * without a grant. In force for requests that are read after the call. Returns 0 or ENOMEM. */
int pl_engine_set_grants(struct pl_engine *engine, uint32_t subject, uint8_t otherwise,
                         bool replace, const struct pl_grant *grants, int32_t count);

/* ---- quotas: see broker/quota.h for which rule holds ---- */

enum pl_quota_kind {
    PL_QUOTA_PRODUCE,
    PL_QUOTA_FETCH,
    PL_QUOTA_REQUEST,
    PL_QUOTA_CONNECTION, /* of an address, in the place of a client id */
    PL_QUOTA_KINDS
};
enum pl_quota_match { PL_QUOTA_ANY, PL_QUOTA_DEFAULT, PL_QUOTA_NAMED };
struct pl_quota_rule {
    enum pl_quota_match user_match, client_id_match; /* ANY: the rule does not ask for it */
    const char *user, *client_id;                    /* when NAMED */
    double limits[4]; /* by kind, a second: bytes, percent of a thread, connections; NAN: none */
};
/* Replaces all rules. Returns 0 or ENOMEM. */
int pl_engine_set_quotas(struct pl_engine *engine, const struct pl_quota_rule *rules,
                         int32_t count);
/* Charges time spent on a request of the control lane; returns how long to mute its connection,
 * in milliseconds. */
int32_t pl_engine_charge_time(struct pl_engine *engine, const char *user, const char *client_id,
                              uint64_t busy_ns);
/* The same for bytes that a request of the control lane fetches, which should be no more than
 * `pl_engine_most_fetched` at once (UINT32_MAX without a quota). */
int32_t pl_engine_charge_fetch(struct pl_engine *engine, const char *user, const char *client_id,
                               uint64_t bytes);
uint32_t pl_engine_most_fetched(struct pl_engine *engine, const char *user,
                                const char *client_id);
/* Reads nothing from a connection for a while; what it is owed is sent (KIP-219). Returns 0 or
 * ENOMEM. */
int pl_engine_mute(struct pl_engine *engine, uint64_t connection, int32_t throttle_ms);

/* ---- partitions ---- */

struct pl_partition_open {
    const char *topic;
    uint8_t topic_id[16];
    int32_t partition;
    const char *folder; /* "": it can't be had; the partition is offline at once */
    const struct pl_log_config *config;
    bool clean_shutdown;
    int64_t recovery_point;
    int64_t log_start_offset;
    int64_t cleaned_end;
    int32_t leader_epoch;
};
struct pl_partition_opened { /* DONE.data is an array of these */
    uint64_t handle;
    int16_t error;
    bool passing;                  /* of an error: there was no room, or the like; try again */
    bool cut_below_recovery_point; /* what was cut had been flushed: the disk has changed it */
    int64_t bytes_scanned;         /* 0 after a clean shutdown */
    int64_t bytes_cut;             /* torn or corrupt, from the end of the log that is left */
    int64_t end_offset;            /* of the log */
};
/* Opens the logs on the workers and serves each as soon as it is open; before that its clients get
 * NOT_LEADER_OR_FOLLOWER. `parallel` > 0: at most so many at a time, in their order, each of them
 * told by PL_EVENT_LOG_OPENED. */
void pl_engine_open_partitions(struct pl_engine *engine, uint64_t token,
                               const struct pl_partition_open *partitions, int32_t count,
                               int32_t parallel);
/* What has not begun to open is not opened any more: its error is NOT_LEADER_OR_FOLLOWER. Returns 0
 * or ENOMEM. */
int pl_engine_cancel_openings(struct pl_engine *engine);
/* The topic of a partition that is being opened has been deleted: it will not be served, but is to
 * be closed when it is told to be open. Returns 0 or ENOMEM. */
int pl_engine_withdraw_partition(struct pl_engine *engine, const uint8_t *topic_id,
                                 int32_t partition);
/* Takes logs offline, as a failed write does, each told by PL_EVENT_OFFLINE: their disk has failed.
 * Returns 0 or ENOMEM. */
int pl_engine_fail_partitions(struct pl_engine *engine, const uint64_t *handles, int32_t count);
/* Stops serving: new requests get NOT_LEADER_OR_FOLLOWER (or UNKNOWN_TOPIC_OR_PARTITION when
 * deleted), as do fetches that wait. Closes or deletes the logs; appends that waited to be durable
 * are acknowledged by a close, and refused by a deletion. */
void pl_engine_close_partitions(struct pl_engine *engine, uint64_t token, const uint64_t *handles,
                                int32_t count, bool delete_files);
void pl_engine_configure_partition(struct pl_engine *engine, uint64_t handle,
                                   const struct pl_log_config *config);

struct pl_partition_offsets {
    int64_t log_start, flushed_end, log_end, high_watermark, last_stable;
    int64_t recovery_point; /* for the next pl_partition_open */
    int64_t size_bytes;
    int32_t leader_epoch;
    int32_t segment_count;
    int64_t cleaned_end; /* compaction has seen everything below */
    bool offline;
    bool uncleanable;    /* compaction has given the log up, see PL_EVENT_UNCLEANABLE */
};
int16_t pl_engine_partition_offsets(struct pl_engine *engine, uint64_t handle,
                                    struct pl_partition_offsets *offsets);

/* Compaction, of all logs that ask for it: Kafka's log.cleaner.* settings. */
struct pl_cleaner_settings {
    int32_t threads;         /* logs at a time, up to PL_MAX_CLEANER_THREADS; 0: none */
    int64_t map_bytes;       /* log.cleaner.dedupe.buffer.size, of all threads together */
    double map_load;         /* log.cleaner.io.buffer.load.factor */
    int64_t io_bytes;        /* log.cleaner.io.buffer.size, likewise */
    double bytes_per_second; /* read and written, likewise; INFINITY: as fast as it goes */
    int64_t backoff_ms;      /* between looks when nothing was to be done */
};
/* Holds for cleans that begin afterwards, the rate also for those that are under way. Returns 0 or
 * ENOMEM. */
int pl_engine_configure_cleaner(struct pl_engine *engine,
                                const struct pl_cleaner_settings *settings);

enum pl_append_wait { PL_WAIT_WRITTEN, PL_WAIT_COMMITTED };
/* Appends whole record batches for a coordinator or a tool. DONE when durable as asked:
 * value: first offset, value2: end offset. */
void pl_engine_append(struct pl_engine *engine, uint64_t token, uint64_t handle,
                      const uint8_t *bytes, size_t length, bool coordinator,
                      enum pl_append_wait wait);
/* DONE.data: whole batches from the one that contains `offset` up to the high watermark (or the
 * log end), empty at the end. value: offset to read next. */
void pl_engine_read(struct pl_engine *engine, uint64_t token, uint64_t handle, int64_t offset,
                    uint32_t max_bytes, bool to_log_end);
struct pl_batch_view {
    int64_t first_offset, last_offset;
    uint32_t size_bytes;
    bool deliverable; /* no control batch; with read_committed not of an aborted transaction */
};
/* What lies where, without the records: DONE.data is an array of pl_batch_view, of whole batches
 * of one segment from the one that holds `offset`, up to the high watermark (read_committed: the
 * last stable offset), max_bytes, or the batch that reaches until_offset. At least one, unless
 * there is none; value: offset to look at next. */
void pl_engine_survey(struct pl_engine *engine, uint64_t token, uint64_t handle, int64_t offset,
                      int64_t until_offset, uint32_t max_bytes, bool read_committed);
/* DONE when there is something to read at `offset` (read_committed: something stable), or with an
 * error when the partition is served no longer, or is offline and will have no more. */
void pl_engine_await_readable(struct pl_engine *engine, uint64_t token, uint64_t handle,
                              int64_t offset, bool read_committed);
/* First record at or after a time (timestamp_ms >= 0), or the one with the highest time (-3).
 * value: offset, value2: timestamp, both -1 for none; data: int32 leader epoch. */
void pl_engine_find_time(struct pl_engine *engine, uint64_t token, uint64_t handle,
                         int64_t timestamp_ms, bool read_committed);
/* value: the new log start offset. */
void pl_engine_delete_records(struct pl_engine *engine, uint64_t token, uint64_t handle,
                              int64_t before_offset);
int16_t pl_engine_epoch_end(struct pl_engine *engine, uint64_t handle, int32_t epoch,
                            int32_t *found_epoch, int64_t *end_offset);

struct pl_producer_view; /* log/log.h */
/* Producers that the partition knows. *count: room in, how many there are out; when that is more
 * than the room, call again. */
int16_t pl_engine_producers(struct pl_engine *engine, uint64_t handle,
                            struct pl_producer_view *views, size_t *count);

/* ---- counters, for metrics ---- */
struct pl_engine_counters {
    uint64_t connections_opened, connections_closed, connections_refused;
    uint64_t frames_refused; /* no Kafka frame, or malformed */
    uint64_t requests_produce, requests_fetch, requests_control;
    uint64_t bytes_received, bytes_sent;
    uint64_t records_appended, batches_appended, bytes_appended, bytes_fetched;
    uint64_t flushes, flush_errors, write_errors;
    uint64_t cleans, clean_errors, clean_bytes_read, clean_bytes_written;
    uint64_t clean_records_removed, clean_busy_ns;
    uint64_t reactor_turns, reactor_busy_ns;
};
void pl_engine_read_counters(const struct pl_engine *engine, struct pl_engine_counters *counters);

#endif
