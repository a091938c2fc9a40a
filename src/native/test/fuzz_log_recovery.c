/* A log folder of any bytes is opened, read from end to end, and closed. The first byte says how
 * it is opened, the next two how the rest is dealt out to the files of one segment. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#include "test/log_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_part(const char *folder, const char *name, const uint8_t *data, size_t n) {
    char path[200];
    snprintf(path, sizeof path, "%s/00000000000000000000%s", folder, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    close(fd);
}

static void read_all(struct kit *kit) {
    struct pl_log_offsets offsets = kit_offsets(kit);
    for (int64_t offset = offsets.log_start; offset < offsets.log_end;) {
        struct pl_slice slice;
        if (pl_log_locate(kit->log, offset, offsets.log_end, 100, true, &slice) != PL_OK ||
            slice.segment == NULL) {
            return;
        }
        assert(slice.end_offset > offset);
        offset = slice.end_offset;
        pl_segment_release(slice.segment);
    }
    struct pl_aborted aborted[4];
    size_t count = 4;
    (void)!pl_log_aborted(kit->log, 0, INT64_MAX, aborted, &count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) {
        return 0;
    }
    struct kit *kit = kit_begin();
    assert(mkdir(kit->folder, 0700) == 0);
    size_t rest = size - 3, log_bytes = rest * data[1] / 255;
    size_t index_bytes = (rest - log_bytes) * data[2] / 255;
    write_part(kit->folder, ".log", data + 3, log_bytes);
    write_part(kit->folder, ".index", data + 3 + log_bytes, index_bytes);
    write_part(kit->folder, ".timeindex", data + 3 + log_bytes + index_bytes,
               rest - log_bytes - index_bytes);
    kit->recovery_point = data[0] >> 1;
    if (kit_try_open(kit, (data[0] & 1) != 0) == PL_OK) {
        read_all(kit);
        kit_append(kit, (struct kit_batch){0});
        kit_close(kit);
    }
    kit_end(kit);
    return 0;
}
