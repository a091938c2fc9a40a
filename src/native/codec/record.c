/* Records inside an uncompressed batch body.
 *
 *   length varint | attributes i8 | timestamp delta varlong | offset delta varint |
 *   key length varint, key | value length varint, value | header count varint, headers
 */
#include "pylog/codec.h"

static bool read_header(struct pl_cursor *c, struct pl_span *key, struct pl_span *value) {
    *key = pl_cursor_varint_bytes(c);
    *value = pl_cursor_varint_bytes(c);
    if (key->length < 0) {
        pl_cursor_fail(c, PL_ERR_INVALID);
    }
    return c->err == PL_OK;
}

static void read_headers(struct pl_cursor *c, struct pl_record *record) {
    record->header_count = pl_cursor_varint(c);
    record->headers = (struct pl_span){c->pos, 0};
    /* the smallest header has two bytes */
    if (record->header_count < 0 || (size_t)record->header_count > pl_cursor_left(c) / 2) {
        pl_cursor_fail(c, PL_ERR_INVALID);
        return;
    }
    struct pl_span key, value;
    for (int32_t i = 0; i < record->header_count; i++) {
        if (!read_header(c, &key, &value)) {
            return;
        }
    }
    record->headers.length = (int32_t)(c->pos - record->headers.data);
}

bool pl_record_reader_next(struct pl_record_reader *reader, struct pl_record *record) {
    struct pl_cursor *outer = &reader->cursor;
    if (reader->remaining <= 0) {
        if (pl_cursor_left(outer) != 0) {
            pl_cursor_fail(outer, PL_ERR_CORRUPT);
        }
        return false;
    }
    int32_t length = pl_cursor_varint(outer);
    if (length < PL_RECORD_MIN_BYTES - 1 || (size_t)length > pl_cursor_left(outer)) {
        outer->err = PL_ERR_CORRUPT;
        reader->remaining = 0;
        return false;
    }
    struct pl_cursor c = pl_cursor_sub(outer, (size_t)length);
    pl_cursor_skip(&c, 1); /* attributes: no bit is used */
    record->timestamp_delta = pl_cursor_varlong(&c);
    record->offset_delta = pl_cursor_varint(&c);
    record->key = pl_cursor_varint_bytes(&c);
    record->value = pl_cursor_varint_bytes(&c);
    read_headers(&c, record);
    if (c.err != PL_OK || c.pos != c.end) {
        outer->err = PL_ERR_CORRUPT;
        reader->remaining = 0;
        return false;
    }
    reader->remaining--;
    return true;
}

bool pl_header_reader_next(struct pl_header_reader *reader, struct pl_span *key,
                           struct pl_span *value) {
    if (reader->remaining <= 0) {
        return false;
    }
    reader->remaining--;
    return read_header(&reader->cursor, key, value);
}
