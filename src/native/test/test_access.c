/* What the fast lane lets a subject do. */
#include "broker/access.h"
#include "rig_fetch.h"
#include "rig_produce.h"

enum { TOPIC_AUTHORIZATION_FAILED = 29, UNKNOWN_TOPIC_ID = 100 };

static const enum pl_access_bit READ = PL_ACCESS_READ, WRITE = PL_ACCESS_WRITE;

static struct rig rig;

static struct pl_access *access_of(uint8_t otherwise) {
    struct pl_access *access = pl_broker_access(rig.broker);
    CHECK_OK(pl_access_open(access, 1, otherwise, true));
    return access;
}

static void grant(struct pl_access *access, const char *topic, uint8_t bits) {
    CHECK_OK(pl_access_grant(access, 1, topic, strlen(topic), bits));
}

static bool allows(const struct pl_access *access, uint32_t subject, enum pl_access_bit bit,
                   const char *topic) {
    return pl_access_allows(access, subject, bit, topic, strlen(topic));
}

static void grants_hold_by_subject_and_topic(void) {
    rig_open(&rig, NULL);
    struct pl_access *access = access_of(READ);
    grant(access, "topic", WRITE);
    CHECK(allows(access, 1, WRITE, "topic") && !allows(access, 1, READ, "topic"));
    CHECK(allows(access, 1, READ, "topi") && !allows(access, 1, WRITE, "topics"));
    CHECK(allows(access, 0, READ, "topic") && allows(access, 0, WRITE, "any"));
    CHECK(!allows(access, 2, READ, "topic") && !allows(access, 9999, READ, "topic"));
    grant(access, "topic", 0);
    CHECK(!allows(access, 1, WRITE, "topic"));
    CHECK_OK(pl_access_open(access, 1, WRITE, false));
    CHECK(!allows(access, 1, WRITE, "topic") && allows(access, 1, WRITE, "other"));
    CHECK_OK(pl_access_open(access, 1, WRITE, true));
    CHECK(allows(access, 1, WRITE, "topic"));
    rig_close(&rig);
}

static void many_subjects_and_topics_have_room(void) {
    rig_open(&rig, NULL);
    struct pl_access *access = pl_broker_access(rig.broker);
    char topic[16];
    for (uint32_t subject = 1; subject < 40; subject++) {
        CHECK_OK(pl_access_open(access, subject, 0, true));
        for (int i = 0; i < 2000; i++) {
            snprintf(topic, sizeof topic, "%d", i);
            bool reads = (subject + (uint32_t)i) % 2 == 0;
            CHECK_OK(pl_access_grant(access, subject, topic, strlen(topic),
                                     (uint8_t)(reads ? READ : WRITE)));
        }
    }
    CHECK(allows(access, 39, WRITE, "1998") && allows(access, 39, READ, "1999"));
    CHECK_EQ(pl_access_open(access, PL_MAX_SUBJECTS, 0, true), PL_ERR_LIMIT);
    rig_close(&rig);
}

static int16_t produce_code(const char *topic, int16_t version) {
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    return rig_produce_batch(&rig, version, topic, &batch).error;
}

static int16_t fetch_code(const char *topic, int16_t version) {
    struct rig_want want = {.topic = topic, .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    fetch.version = version;
    return rig_fetch_now(&rig, &fetch).parts[0].error;
}

static void produce_wants_write_and_fetch_wants_read(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "in", 0);
    rig_add_partition(&rig, "out", 0);
    rig.client.subject = 1;
    struct pl_access *access = access_of(0);
    grant(access, "in", READ);
    grant(access, "out", WRITE);
    for (int16_t version = 9; version <= 13; version += 4) {
        CHECK_EQ(produce_code("out", version), 0);
        CHECK_EQ(produce_code("in", version), TOPIC_AUTHORIZATION_FAILED);
        CHECK_EQ(fetch_code("in", version), 0);
        CHECK_EQ(fetch_code("out", version), TOPIC_AUTHORIZATION_FAILED);
    }
    rig_close(&rig);
}

static void what_may_not_be_known_is_not_told(void) {
    rig_open(&rig, NULL);
    rig.client.subject = 1;
    access_of(0);
    CHECK_EQ(produce_code("absent", 9), TOPIC_AUTHORIZATION_FAILED);
    CHECK_EQ(fetch_code("absent", 12), TOPIC_AUTHORIZATION_FAILED);
    CHECK_EQ(produce_code("absent", 13), UNKNOWN_TOPIC_ID);
    CHECK_EQ(fetch_code("absent", 13), UNKNOWN_TOPIC_ID);
    rig_close(&rig);
}

int main(void) {
    RUN(grants_hold_by_subject_and_topic);
    RUN(many_subjects_and_topics_have_room);
    RUN(produce_wants_write_and_fetch_wants_read);
    RUN(what_may_not_be_known_is_not_told);
    return check_end();
}
