/* Any bytes as a Produce or Fetch request of any version: read within bounds, and a request that
 * is taken can be walked to the end of every list. */
#include <stdlib.h>

#include "gen/api_table.h"
#include "gen/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(struct pl_span span) {
    for (int32_t i = 0; i < span.length; i++) {
        sink = span.data[i];
    }
}

static void check(bool condition) {
    if (!condition) {
        abort();
    }
}

static void walk_produce(const uint8_t *body, size_t length, int16_t version) {
    struct pl_produce_request request;
    if (pl_produce_request_read(body, length, version, &request) != PL_OK) {
        return;
    }
    touch(request.transactional_id);
    struct pl_cursor topics = request.topic_data.elements;
    for (int32_t i = 0; i < request.topic_data.count; i++) {
        struct pl_produce_request_topic topic;
        pl_produce_request_topic_read(&topics, version, &topic);
        touch(topic.name);
        struct pl_cursor partitions = topic.partition_data.elements;
        for (int32_t j = 0; j < topic.partition_data.count; j++) {
            struct pl_produce_request_partition partition;
            pl_produce_request_partition_read(&partitions, version, &partition);
            touch(partition.records);
        }
        check(partitions.err == PL_OK && partitions.pos == partitions.end);
    }
    check(topics.err == PL_OK && topics.pos == topics.end);
}

static void walk_forgotten(const struct pl_fetch_request *request, int16_t version) {
    struct pl_cursor topics = request->forgotten_topics_data.elements;
    for (int32_t i = 0; i < request->forgotten_topics_data.count; i++) {
        struct pl_fetch_request_forgotten_topic topic;
        pl_fetch_request_forgotten_topic_read(&topics, version, &topic);
        touch(topic.topic);
        struct pl_cursor partitions = topic.partitions.elements;
        for (int32_t j = 0; j < topic.partitions.count; j++) {
            (void)pl_cursor_i32(&partitions);
        }
        check(partitions.err == PL_OK && partitions.pos == partitions.end);
    }
    check(topics.err == PL_OK && topics.pos == topics.end);
}

static void walk_fetch(const uint8_t *body, size_t length, int16_t version) {
    struct pl_fetch_request request;
    if (pl_fetch_request_read(body, length, version, &request) != PL_OK) {
        return;
    }
    touch(request.rack_id);
    touch(request.cluster_id);
    struct pl_cursor topics = request.topics.elements;
    for (int32_t i = 0; i < request.topics.count; i++) {
        struct pl_fetch_request_topic topic;
        pl_fetch_request_topic_read(&topics, version, &topic);
        touch(topic.topic);
        struct pl_cursor partitions = topic.partitions.elements;
        for (int32_t j = 0; j < topic.partitions.count; j++) {
            struct pl_fetch_request_partition partition;
            pl_fetch_request_partition_read(&partitions, version, &partition);
        }
        check(partitions.err == PL_OK && partitions.pos == partitions.end);
    }
    check(topics.err == PL_OK && topics.pos == topics.end);
    walk_forgotten(&request, version);
}

/* The first byte chooses the request and its version. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    int16_t key = data[0] & 1;
    int16_t version = data[0] >> 1;
    if (version < pl_apis[key].min_version || version > pl_apis[key].max_version) {
        return 0;
    }
    if (key == 0) {
        walk_produce(data + 1, size - 1, version);
    } else {
        walk_fetch(data + 1, size - 1, version);
    }
    return 0;
}
