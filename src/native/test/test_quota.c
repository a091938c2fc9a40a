/* Quotas: which rule holds, who shares a limit, how long above it a client is muted, and what
 * Produce and Fetch answer then. */
#include <math.h>

#include "broker/quota.h"
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;
static const uint64_t SECOND = 1000000000;

static struct pl_quota_client client_of(const char *user, const char *client_id) {
    return (struct pl_quota_client){user, client_id, (uint32_t)strlen(user),
                                    (uint32_t)strlen(client_id)};
}

/* NULL: not asked for; "*": any; else by name. */
static enum pl_quota_match match_of(const char *name) {
    if (name == NULL) {
        return PL_QUOTA_ANY;
    }
    return strcmp(name, "*") == 0 ? PL_QUOTA_DEFAULT : PL_QUOTA_NAMED;
}

static struct pl_quota_rule rule_of(const char *user, const char *client_id,
                                    enum pl_quota_kind kind, double limit) {
    struct pl_quota_rule rule = {.user_match = match_of(user), .client_id_match = match_of(client_id),
                                 .user = user, .client_id = client_id,
                                 .limits = {NAN, NAN, NAN, NAN}};
    rule.limits[kind] = limit;
    return rule;
}

static struct pl_quotas *quotas_of(const struct pl_quota_rule *rules, int32_t count) {
    struct pl_quotas *quotas;
    CHECK_OK(pl_quotas_create(&quotas));
    CHECK_OK(pl_quotas_replace(quotas, rules, count));
    return quotas;
}

static uint32_t most(struct pl_quotas *quotas, const char *user, const char *client_id) {
    struct pl_quota_client client = client_of(user, client_id);
    return pl_quotas_most_at_once(quotas, PL_QUOTA_PRODUCE, &client);
}

static void the_strongest_rule_holds(void) {
    const char *const names[][2] = {{"ann", "app"}, {"ann", "*"}, {"ann", NULL}, {"*", "app"},
                                    {"*", "*"},     {"*", NULL},  {NULL, "app"}, {NULL, "*"}};
    struct pl_quota_rule rules[8];
    for (int i = 0; i < 8; i++) {
        rules[i] = rule_of(names[i][0], names[i][1], PL_QUOTA_PRODUCE, i + 1);
    }
    for (int first = 0; first < 8; first++) { /* without the stronger ones, the next holds */
        struct pl_quotas *quotas = quotas_of(rules + first, 8 - first);
        CHECK_EQ(most(quotas, "ann", "app"), (uint32_t)(first + 1) * 10);
        pl_quotas_destroy(quotas);
    }
    struct pl_quotas *quotas = quotas_of(rules, 8);
    CHECK_EQ(most(quotas, "ann", "other"), 20);
    CHECK_EQ(most(quotas, "bob", "app"), 40);
    CHECK_EQ(most(quotas, "bob", "other"), 50);
    pl_quotas_destroy(quotas);
}

static void a_rule_without_a_limit_of_the_kind_is_passed_over(void) {
    struct pl_quota_rule rules[] = {rule_of("ann", "app", PL_QUOTA_FETCH, 1),
                                    rule_of("ann", NULL, PL_QUOTA_PRODUCE, 7)};
    struct pl_quotas *quotas = quotas_of(rules, 2);
    CHECK_EQ(most(quotas, "ann", "app"), 70);
    CHECK_EQ(most(quotas, "bob", "app"), UINT32_MAX);
    CHECK(!pl_quotas_limit(quotas, PL_QUOTA_REQUEST));
    pl_quotas_destroy(quotas);
}

static int32_t charge(struct pl_quotas *quotas, const char *user, const char *client_id,
                      uint64_t amount, uint64_t now_ns) {
    struct pl_quota_client client = client_of(user, client_id);
    return pl_quotas_charge(quotas, PL_QUOTA_PRODUCE, &client, amount, now_ns);
}

static void above_the_limit_a_client_waits_until_its_rate_is_back_at_it(void) {
    struct pl_quota_rule rule = rule_of("ann", NULL, PL_QUOTA_PRODUCE, 1000);
    struct pl_quotas *quotas = quotas_of(&rule, 1);
    CHECK_EQ(charge(quotas, "ann", "app", 10000, 5 * SECOND), 0); /* over ten seconds */
    CHECK_EQ(charge(quotas, "ann", "app", 2000, 5 * SECOND), 2000);
    CHECK_EQ(charge(quotas, "ann", "app", 0, 6 * SECOND), 2000); /* the window moves with time */
    CHECK_EQ(charge(quotas, "ann", "app", 0, 17 * SECOND), 0);
    CHECK_EQ(charge(quotas, "ann", "app", 10001, 17 * SECOND), 1);
    pl_quotas_destroy(quotas);
}

static void clients_share_what_their_rule_names(void) {
    struct pl_quota_rule rules[] = {rule_of("ann", NULL, PL_QUOTA_PRODUCE, 100),
                                    rule_of("*", "*", PL_QUOTA_PRODUCE, 100)};
    struct pl_quotas *quotas = quotas_of(rules, 2);
    CHECK_EQ(charge(quotas, "ann", "one", 1000, SECOND), 0);
    CHECK(charge(quotas, "ann", "two", 1000, SECOND) > 0); /* the user has one limit */
    CHECK_EQ(charge(quotas, "bob", "one", 1000, SECOND), 0);
    CHECK_EQ(charge(quotas, "bob", "two", 1000, SECOND), 0); /* each pair has its own */
    CHECK(charge(quotas, "bob", "two", 1000, SECOND) > 0);
    pl_quotas_destroy(quotas);
}

static void what_is_taken_back_was_never_used(void) {
    struct pl_quota_rule rule = rule_of(NULL, "*", PL_QUOTA_PRODUCE, 100);
    struct pl_quotas *quotas = quotas_of(&rule, 1);
    struct pl_quota_client client = client_of("ann", "");
    CHECK(charge(quotas, "ann", "", 5000, SECOND) > 0);
    pl_quotas_refund(quotas, PL_QUOTA_PRODUCE, &client, 5000, SECOND);
    CHECK_EQ(charge(quotas, "ann", "", 1000, SECOND), 0);
    pl_quotas_destroy(quotas);
}

static void request_time_is_throttled_for_a_second_at_most(void) {
    struct pl_quota_rule rule = rule_of("ann", NULL, PL_QUOTA_REQUEST, 1); /* percent */
    struct pl_quotas *quotas = quotas_of(&rule, 1);
    struct pl_quota_client client = client_of("ann", "");
    CHECK_EQ(pl_quotas_charge(quotas, PL_QUOTA_REQUEST, &client, SECOND / 10, SECOND), 0);
    CHECK_EQ(pl_quotas_charge(quotas, PL_QUOTA_REQUEST, &client, SECOND / 1000, SECOND), 100);
    CHECK_EQ(pl_quotas_charge(quotas, PL_QUOTA_REQUEST, &client, SECOND, SECOND), 1000);
    pl_quotas_destroy(quotas);
}

static void the_number_of_clients_that_are_counted_is_bounded(void) {
    struct pl_quota_rule rule = rule_of(NULL, "*", PL_QUOTA_PRODUCE, 1);
    struct pl_quotas *quotas = quotas_of(&rule, 1);
    char name[16];
    for (int i = 0; i < PL_MAX_QUOTA_USAGES; i++) {
        snprintf(name, sizeof name, "%d", i);
        CHECK(charge(quotas, "ann", name, 100, SECOND) > 0);
    }
    CHECK_EQ(charge(quotas, "ann", "more", 100, SECOND), 0); /* goes free */
    CHECK(charge(quotas, "ann", "more", 100, 20 * SECOND) > 0); /* the others are forgotten */
    pl_quotas_destroy(quotas);
}

/* ---- Produce and Fetch ---- */

static void limit(const char *user, enum pl_quota_kind kind, double limit) {
    struct pl_quota_rule rule = rule_of(user, NULL, kind, limit);
    CHECK_OK(pl_quotas_replace(pl_broker_quotas(rig.broker), &rule, 1));
}

static int32_t produce_bytes(int16_t acks) {
    struct rig_batch batch = rig_plain(&rig, 1, 5000);
    struct rig_single single;
    rig_single_open(&single, "topic", &batch);
    single.produce.acks = acks;
    struct rig_reply reply = {0};
    CHECK_OK(rig_produce(&rig, &reply, &single.produce));
    rig_turn(&rig);
    CHECK(reply.completed);
    if (acks != 0) { /* the field ends the answer, but for its tagged fields */
        uint8_t *throttle = reply.bytes + reply.length - 5;
        CHECK_EQ(pl_get_i32(throttle), reply.reply.throttle_ms);
        pl_put_i32(throttle, 0); /* what the rig expects */
        CHECK_EQ(rig_produced(&reply).error, 0);
    }
    int32_t throttle_ms = reply.reply.throttle_ms;
    rig_forget(&reply);
    rig_single_close(&single);
    return throttle_ms;
}

static void a_producer_above_its_quota_is_answered_and_muted(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    CHECK_EQ(produce_bytes(-1), 0);
    limit("ANONYMOUS", PL_QUOTA_PRODUCE, 100);
    CHECK(produce_bytes(-1) > 30000);
    CHECK(produce_bytes(0) > 80000);
    CHECK_OK(pl_client_set_user(&rig.client, "ann", 3));
    CHECK_EQ(produce_bytes(-1), 0);
    rig_close(&rig);
}

static void a_consumer_above_its_quota_gets_nothing_until_time_has_gone_by(void) {
    rig_open(&rig, NULL);
    rig_add_partition(&rig, "topic", 0);
    CHECK_EQ(produce_bytes(-1) + produce_bytes(-1) + produce_bytes(-1), 0);
    limit("*", PL_QUOTA_FETCH, 1200); /* twelve thousand in ten seconds: two batches, not three */
    struct rig_want want = {.topic = "topic", .max_bytes = 1 << 20};
    struct rig_fetch fetch = rig_fetch_of(&want, 1);
    struct rig_reply reply = {0};
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(reply.reply.throttle_ms, 0);
    CHECK_EQ(rig_fetched(&reply).parts[0].batches, 2);
    rig_forget(&reply);
    rig_fetch(&rig, &reply, &fetch);
    CHECK(reply.reply.throttle_ms > 0);
    CHECK_EQ(pl_get_i32(reply.bytes + 1), reply.reply.throttle_ms);
    CHECK_EQ(reply.length, 1 + 4 + 2 + 4 + 1 + 1); /* no topic */
    rig_forget(&reply);
    rig.monotonic_ms += 11000;
    rig_fetch(&rig, &reply, &fetch);
    CHECK_EQ(reply.reply.throttle_ms, 0);
    CHECK_EQ(rig_fetched(&reply).parts[0].batches, 2);
    rig_forget(&reply);
    rig_close(&rig);
}

int main(void) {
    RUN(the_strongest_rule_holds);
    RUN(a_rule_without_a_limit_of_the_kind_is_passed_over);
    RUN(above_the_limit_a_client_waits_until_its_rate_is_back_at_it);
    RUN(clients_share_what_their_rule_names);
    RUN(what_is_taken_back_was_never_used);
    RUN(request_time_is_throttled_for_a_second_at_most);
    RUN(the_number_of_clients_that_are_counted_is_bounded);
    RUN(a_producer_above_its_quota_is_answered_and_muted);
    RUN(a_consumer_above_its_quota_gets_nothing_until_time_has_gone_by);
    return check_end();
}
