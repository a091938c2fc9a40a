/* Produce of idempotent and transactional producers. */
#include "rig_produce.h"

static struct rig rig;

static void a_repeated_batch_is_acknowledged_with_its_first_offset(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_of_producer(&rig, 2, 0);
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).base_offset, 0);
    batch.sequence = 2;
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).base_offset, 2);
    batch.sequence = 0;
    struct rig_produced produced = rig_produce_batch(&rig, 9, "topic", &batch);
    CHECK_EQ(produced.error, 0);
    CHECK_EQ(produced.base_offset, 0);
    batch.sequence = 7;
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).error, 45);
    batch.producer_epoch = 0;
    batch.sequence = 4;
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).error, 47);
    rig_close(&rig);
}

static void transactional_batches_need_a_transactional_id(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_of_producer(&rig, 1, 0);
    batch.transactional = true;
    CHECK_EQ(rig_produce_batch(&rig, 9, "topic", &batch).error, 53);
    CHECK_EQ(rig_append(&rig, "topic", 0, &batch).error, 0);
    rig_close(&rig);
}

/* A batch of a transaction; *unverified: of how many partitions its coordinator is to be asked. */
static struct rig_produced produce_in_transaction(const struct rig_batch *batch,
                                                  int32_t *unverified) {
    struct rig_single single;
    rig_single_open(&single, "topic", batch);
    single.produce.transactional_id = "txn";
    *unverified = rig_ask(&rig, &single.produce);
    struct rig_produced produced = rig_produce_now(&rig, &single.produce);
    rig_single_close(&single);
    return produced;
}

static void a_transaction_begins_when_its_coordinator_has_agreed(void) {
    uint64_t handle = rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_of_producer(&rig, 1, 0);
    batch.transactional = true;
    int32_t unverified = 0;

    CHECK_EQ(produce_in_transaction(&batch, &unverified).error, 48); /* nobody was asked */
    CHECK_EQ(unverified, 1);
    CHECK_EQ(rig.verified[0].partition, handle);
    CHECK_EQ(rig.verified[0].producer_id, 9);
    CHECK_EQ(rig.verified[0].producer_epoch, 1);

    struct rig_single refused;
    rig_single_open(&refused, "topic", &batch);
    refused.produce.transactional_id = "txn";
    rig.verified_count = 1;
    rig.verified[0].error = 67; /* transaction coordinator fenced, say */
    CHECK_EQ(rig_produce_now(&rig, &refused.produce).error, 67);
    rig_single_close(&refused);

    CHECK_EQ(produce_in_transaction(&batch, &unverified).error, 0); /* it agrees */
    rig.verified_count = 0;
    batch.sequence = 1;
    CHECK_EQ(produce_in_transaction(&batch, &unverified).error, 0);
    CHECK_EQ(unverified, 0); /* it is open */
    batch.producer_epoch = 2;
    batch.sequence = 0;
    CHECK_EQ(produce_in_transaction(&batch, &unverified).error, 48);
    CHECK_EQ(unverified, 1); /* under another epoch it is not */
    rig_close(&rig);
}

static void a_request_without_a_transaction_is_not_asked_about(void) {
    rig_open_topic(&rig, PL_DURABILITY_OS);
    struct rig_batch batch = rig_plain(&rig, 1, 10);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    for (int16_t version = 3; version <= 13; version++) {
        single.produce.version = version;
        single.produce.transactional_id = NULL;
        CHECK_EQ(rig_ask(&rig, &single.produce), 0);
        single.produce.transactional_id = "txn";
        CHECK_EQ(rig_ask(&rig, &single.produce), 0);
    }
    rig_single_close(&single);
    rig_close(&rig);
}

int main(void) {
    RUN(a_repeated_batch_is_acknowledged_with_its_first_offset);
    RUN(transactional_batches_need_a_transactional_id);
    RUN(a_transaction_begins_when_its_coordinator_has_agreed);
    RUN(a_request_without_a_transaction_is_not_asked_about);
    return check_end();
}
