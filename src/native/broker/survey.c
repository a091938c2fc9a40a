#include "broker/survey.h"

#include <stdlib.h>

#include "pylog/codec.h"

enum {
    WINDOW_BYTES = 64 * 1024, /* of the file, read at a time: many small batches, or one header */
    VIEWS_AT_FIRST = 64,
    ABORTED_AT_FIRST = 16,
    NOBODY = -2, /* producer of a transaction that has ended within the slice */
};

struct window { /* a part of the slice in memory */
    const struct pl_slice *slice;
    const struct pl_fs *fs;
    uint8_t *bytes;
    size_t position, length; /* of the part, within the slice */
};

/* ---- aborted transactions ---- */

enum pl_err pl_survey_find_aborted(struct pl_survey *survey, struct pl_log *log,
                                   const struct pl_slice *slice) {
    size_t room = 0, found = ABORTED_AT_FIRST;
    while (room < found) {
        room = found;
        free(survey->aborted);
        survey->aborted = malloc(room * sizeof *survey->aborted);
        if (survey->aborted == NULL) {
            return PL_ERR_MEMORY;
        }
        enum pl_err err = pl_log_aborted(log, slice->first_offset, slice->end_offset,
                                         survey->aborted, &found);
        if (err != PL_OK) {
            return err;
        }
    }
    survey->aborted_count = found;
    return PL_OK;
}

static bool is_aborted(const struct pl_survey *survey, const struct pl_batch_header *header) {
    for (size_t i = 0; i < survey->aborted_count; i++) {
        if (survey->aborted[i].producer_id == header->producer_id &&
            survey->aborted[i].first_offset <= header->base_offset) {
            return pl_batch_is(header, PL_BATCH_TRANSACTIONAL);
        }
    }
    return false;
}

/* A marker: what its producer writes from here on belongs to another transaction. */
static void end_transaction(struct pl_survey *survey, const struct pl_batch_header *header) {
    for (size_t i = 0; i < survey->aborted_count; i++) {
        if (survey->aborted[i].producer_id == header->producer_id &&
            survey->aborted[i].first_offset <= header->base_offset) {
            survey->aborted[i].producer_id = NOBODY;
        }
    }
}

/* ---- batches ---- */

static enum pl_err add_view(struct pl_survey *survey, const struct pl_batch_header *header) {
    if (survey->count == survey->room) {
        size_t room = survey->room == 0 ? VIEWS_AT_FIRST : 2 * survey->room;
        struct pl_batch_view *views = realloc(survey->views, room * sizeof *views);
        if (views == NULL) {
            return PL_ERR_MEMORY;
        }
        survey->views = views;
        survey->room = room;
    }
    bool control = pl_batch_is(header, PL_BATCH_CONTROL);
    survey->views[survey->count++] = (struct pl_batch_view){
        .first_offset = header->base_offset,
        .last_offset = pl_batch_last_offset(header),
        .size_bytes = (uint32_t)pl_batch_size(header),
        .deliverable = !control && !is_aborted(survey, header),
    };
    if (control) {
        end_transaction(survey, header);
    }
    return PL_OK;
}

/* Makes the header of the batch at `position` lie in the window. */
static enum pl_err move_window(struct window *window, size_t position) {
    size_t end = window->position + window->length;
    if (position >= window->position && position + PL_BATCH_HEADER_BYTES <= end) {
        return PL_OK;
    }
    size_t left = window->slice->length - position, got = 0;
    size_t wanted = left < WINDOW_BYTES ? left : WINDOW_BYTES;
    enum pl_err err = window->fs->read_at(window->fs->context, window->slice->fd, window->bytes,
                                          wanted, window->slice->position + position, &got);
    window->position = position;
    window->length = got;
    return err == PL_OK && got < wanted ? PL_ERR_CORRUPT : err;
}

static enum pl_err walk(struct pl_survey *survey, struct window *window) {
    size_t position = 0;
    survey->next_offset = window->slice->end_offset;
    while (position < window->slice->length) {
        struct pl_batch_header header;
        enum pl_err err = move_window(window, position);
        if (err == PL_OK) {
            size_t at = position - window->position;
            err = pl_batch_header_parse(window->bytes + at, window->length - at, &header);
        }
        if (err == PL_OK) {
            err = add_view(survey, &header);
        }
        if (err != PL_OK) {
            return err == PL_ERR_AGAIN ? PL_ERR_CORRUPT : err;
        }
        position += pl_batch_size(&header);
        if (pl_batch_last_offset(&header) >= survey->until_offset) {
            survey->next_offset = pl_batch_last_offset(&header) + 1;
            return PL_OK;
        }
    }
    return PL_OK;
}

enum pl_err pl_survey_run(struct pl_survey *survey, const struct pl_slice *slice) {
    struct window window = {.slice = slice, .fs = survey->fs, .bytes = malloc(WINDOW_BYTES)};
    if (window.bytes == NULL) {
        return PL_ERR_MEMORY;
    }
    enum pl_err err = walk(survey, &window);
    free(window.bytes);
    return err;
}

void pl_survey_close(struct pl_survey *survey) {
    free(survey->aborted);
    free(survey->views);
}
