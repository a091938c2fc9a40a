/* Producer snapshots, epoch checkpoints and file names of any bytes: refused, or read and written
 * again to the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log/file_name.h"
#include "log/leader_epochs.h"
#include "log/producer_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_snapshot(const uint8_t *data, size_t size) {
    struct pl_producers producers;
    pl_producers_init(&producers);
    if (pl_producers_decode(&producers, data, size) == PL_OK) {
        uint8_t *again;
        size_t n;
        assert(pl_producers_encode(&producers, &again, &n) == PL_OK && n == size);
        free(again);
    } else {
        assert(producers.count == 0);
    }
    pl_producers_free(&producers);
}

static void try_epochs(const uint8_t *data, size_t size) {
    struct pl_epochs epochs = {0};
    if (pl_epochs_decode(&epochs, (const char *)data, size) == PL_OK) {
        for (uint32_t i = 1; i < epochs.count; i++) {
            assert(epochs.entries[i - 1].epoch < epochs.entries[i].epoch);
            assert(epochs.entries[i - 1].start_offset <= epochs.entries[i].start_offset);
        }
    }
    pl_epochs_free(&epochs);
}

static void try_name(const uint8_t *data, size_t size) {
    char name[64] = {0};
    memcpy(name, data, size < sizeof name - 1 ? size : sizeof name - 1);
    struct pl_file_name parsed;
    if (pl_file_name_parse(name, &parsed)) {
        char path[PL_PATH_BYTES];
        pl_file_path(path, "f", parsed.base_offset, parsed.kind, parsed.phase);
        assert(strcmp(path + 2, name) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_snapshot(data, size);
    try_epochs(data, size);
    try_name(data, size);
    return 0;
}
