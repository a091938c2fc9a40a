/* Any bytes as Fetch of any version, on a broker with a few partitions and sessions. */
#include "rig_fetch.h"
#include "rig_produce.h"

static struct rig rig;

static void open_once(void) {
    static bool is_open;
    if (is_open) {
        return;
    }
    is_open = true;
    rig_open(&rig, NULL);
    for (int32_t i = 0; i < 3; i++) {
        rig_add_partition(&rig, "t", i);
        struct rig_batch batch = rig_plain(&rig, 3, 100);
        CHECK_EQ(rig_append(&rig, "t", i, &batch).error, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_once();
    if (size < 1 || size > RIG_FRAME) {
        return 0;
    }
    int16_t version = (int16_t)(4 + data[0] % 15);
    memcpy(rig.frames[0], data + 1, size - 1);
    struct rig_reply reply = {0};
    enum pl_err err = rig_send(&rig, &reply, 1, version, rig.frames[0], size - 1, NULL);
    memset(rig.frames[0], 0xee, size); /* what is parked must not look at it any more */
    CHECK(err == PL_OK || !reply.completed);
    rig_turn(&rig);
    if (err == PL_OK && !reply.completed) {
        rig_cancel(&reply);
    } else if (reply.completed) {
        (void)rig_fetched(&reply);
    }
    rig_forget(&reply);
    return 0;
}
