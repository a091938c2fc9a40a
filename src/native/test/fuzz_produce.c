/* Any bytes as Produce of any version, on a broker with a few partitions: an answer, a parked
 * answer or a refusal; never more. */
#include "broker_rig.h"

static struct rig rig;

static void open_once(void) {
    static bool is_open;
    if (is_open) {
        return;
    }
    is_open = true;
    rig_open(&rig, NULL);
    struct pl_log_config config = rig_config();
    config.retention_bytes = 1 << 20;
    rig_add_with(&rig, "t", 0, &config);
    config.compact_policy = true;
    config.compression = PL_COMPRESSION_ZSTD;
    rig_add_with(&rig, "t", 1, &config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_once();
    if (size < 1 || size > RIG_FRAME) {
        return 0;
    }
    int16_t version = data[0] % 14;
    memcpy(rig.frames[0], data + 1, size - 1);
    struct rig_reply reply = {0};
    enum pl_err err = rig_send(&rig, &reply, 0, version, rig.frames[0], size - 1, NULL);
    CHECK(err == PL_OK || !reply.completed);
    rig_turn(&rig);
    CHECK(err != PL_OK || reply.completed);
    rig_forget(&reply);
    return 0;
}
