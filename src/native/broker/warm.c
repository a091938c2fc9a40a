#include "broker/warm.h"

#include <stdlib.h>

#include "broker/state.h"

enum { READ_BYTES = 128 * 1024 };

struct pl_warming {
    struct pl_job job;
    struct pl_fetch *fetch; /* NULL: gone */
    const struct pl_fs *fs;
    int32_t count;
    struct pl_slice slices[]; /* a segment reference each */
};

/* What was written last is in the cache. */
static bool is_cold(const struct pl_fetch_item *item, const struct pl_slice *slice) {
    const struct pl_fs *fs = item->fetch->broker->options.fs;
    return slice->length > 0 && slice->end_offset < item->partition->offsets.written_end &&
           fs->is_cached != NULL &&
           !fs->is_cached(fs->context, slice->fd, slice->position, slice->length);
}

/* An error is no concern here: whoever sends the records meets it again. */
static void read_through(const struct pl_fs *fs, const struct pl_slice *slice, uint8_t *buffer) {
    size_t got = READ_BYTES;
    for (uint32_t done = 0; done < slice->length && got == READ_BYTES; done += READ_BYTES) {
        uint32_t left = slice->length - done;
        if (fs->read_at(fs->context, slice->fd, buffer, left < READ_BYTES ? left : READ_BYTES,
                        slice->position + done, &got) != PL_OK) {
            return;
        }
    }
}

static void warm_run(struct pl_job *job) {
    struct pl_warming *warming = PL_CONTAINER(job, struct pl_warming, job);
    uint8_t *buffer = malloc(READ_BYTES);
    for (int32_t i = 0; buffer != NULL && i < warming->count; i++) {
        read_through(warming->fs, &warming->slices[i], buffer);
    }
    free(buffer);
}

static void warm_done(struct pl_job *job) {
    struct pl_warming *warming = PL_CONTAINER(job, struct pl_warming, job);
    struct pl_fetch *fetch = warming->fetch;
    for (int32_t i = 0; i < warming->count; i++) {
        pl_segment_release(warming->slices[i].segment);
    }
    free(warming);
    if (fetch != NULL) {
        pl_fetch_warmed(fetch);
    }
}

/* NULL when everything is in the cache, or without memory: then the reactor waits for the disk. */
static struct pl_warming *collect(struct pl_fetch *fetch, const struct pl_fetch_result *results) {
    struct pl_warming *warming = NULL;
    for (int32_t i = 0; i < fetch->count; i++) {
        const struct pl_slice *slice = &results[i].slice;
        if (!is_cold(&fetch->items[i], slice)) {
            continue;
        }
        if (warming == NULL) {
            warming = malloc(sizeof *warming + (size_t)(fetch->count - i) * sizeof *slice);
            if (warming == NULL) {
                return NULL;
            }
            *warming = (struct pl_warming){.fetch = fetch, .fs = fetch->broker->options.fs};
        }
        pl_segment_retain(slice->segment);
        warming->slices[warming->count++] = *slice;
    }
    return warming;
}

bool pl_warm_start(struct pl_fetch *fetch, const struct pl_fetch_result *results) {
    if (fetch->broker->stopped) {
        return false;
    }
    struct pl_warming *warming = collect(fetch, results);
    if (warming == NULL) {
        return false;
    }
    fetch->warming = warming;
    warming->job.run = warm_run;
    warming->job.done = warm_done;
    pl_broker_submit(fetch->broker, &warming->job, PL_JOB_SLOW);
    return true;
}

void pl_warm_leave(struct pl_warming *warming) {
    warming->fetch = NULL;
}
