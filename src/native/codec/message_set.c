/* Message sets of magic 0 and 1, read so as to become one batch of magic 2.
 *
 *   offset i64 | size i32 | crc u32 (CRC-32 of what follows) | magic i8 | attributes i8 |
 *   timestamp i64 (magic 1) | key i32 length, bytes | value i32 length, bytes
 *
 * A compressed message is a wrapper: its value is a message set. Offsets inside are absolute in
 * magic 0; in magic 1 they are relative, and the wrapper has the offset of the last (KIP-31).
 * The LZ4 frames with a wrong header checksum of magic 0 (KIP-57) are refused as corrupt.
 */
#include <zlib.h>

#include "codec/codec.h"

enum { ATTRIBUTE_COMPRESSION = 0x07, ATTRIBUTE_APPEND_TIME = 0x08 };

size_t pl_message_set_span(const uint8_t *bytes, size_t n) {
    size_t span = 0;
    struct pl_batch_header prefix;
    while (span < n &&
           pl_batch_header_parse(bytes + span, n - span, &prefix) == PL_ERR_UNSUPPORTED &&
           pl_batch_size(&prefix) <= n - span) {
        span += pl_batch_size(&prefix);
    }
    return span;
}

struct message {
    int64_t offset, timestamp;
    int8_t magic, attributes;
    struct pl_span key, value;
};

struct conversion {
    struct pl_codec *codec;
    struct pl_batch_builder *builder;
    enum pl_compression compression; /* of the first message */
    bool keep_offsets, started;
    int64_t base_offset;
};

static enum pl_err read_fields(struct pl_cursor *c, struct message *message) {
    message->magic = pl_cursor_i8(c);
    if (message->magic == 2) {
        return PL_ERR_UNSUPPORTED;
    }
    message->attributes = pl_cursor_i8(c);
    message->timestamp = message->magic == 1 ? pl_cursor_i64(c) : -1;
    message->key = pl_cursor_bytes(c);
    message->value = pl_cursor_bytes(c);
    bool whole = c->err == PL_OK && c->pos == c->end;
    return whole && (message->magic == 0 || message->magic == 1) ? PL_OK : PL_ERR_CORRUPT;
}

static enum pl_err read_message(struct pl_cursor *set, struct message *message) {
    message->offset = pl_cursor_i64(set);
    int32_t size = pl_cursor_i32(set);
    struct pl_cursor c = pl_cursor_sub(set, size < 0 ? SIZE_MAX : (size_t)size);
    uint32_t crc = pl_cursor_u32(&c);
    if (c.err != PL_OK) {
        return PL_ERR_CORRUPT;
    }
    const uint8_t *covered = c.pos;
    size_t n = pl_cursor_left(&c);
    enum pl_err err = read_fields(&c, message);
    if (err == PL_OK && crc32(0, covered, (uInt)n) != crc) {
        return PL_ERR_CORRUPT;
    }
    return err;
}

static void start(struct conversion *conversion, int64_t base_offset) {
    conversion->started = true;
    conversion->base_offset = base_offset;
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = conversion->compression;
    options.base_offset = conversion->keep_offsets ? base_offset : 0;
    pl_batch_builder_reset(conversion->builder, &options);
}

static enum pl_err add(struct conversion *conversion, const struct message *message) {
    int64_t offset = message->offset;
    if (conversion->keep_offsets && (offset < 0 || offset == INT64_MAX)) {
        return PL_ERR_CORRUPT;
    }
    if (!conversion->started) {
        start(conversion, offset);
    }
    if (!conversion->keep_offsets) {
        return pl_batch_builder_append(conversion->builder, message->timestamp, message->key,
                                       message->value, NULL, 0);
    }
    if (offset < conversion->base_offset || offset - conversion->base_offset > INT32_MAX - 1) {
        return PL_ERR_CORRUPT;
    }
    struct pl_record record = {
        .offset_delta = (int32_t)(offset - conversion->base_offset),
        .key = message->key,
        .value = message->value,
    };
    enum pl_err err = pl_batch_builder_copy(conversion->builder, message->timestamp, &record);
    return err == PL_ERR_INVALID ? PL_ERR_CORRUPT : err; /* offsets do not grow */
}

/* What to add to the offsets inside a wrapper, of which the last is the wrapper's. */
static enum pl_err inner_base(const struct message *wrapper, struct pl_cursor set,
                              int64_t *base) {
    *base = 0;
    if (wrapper->magic == 0) {
        return PL_OK;
    }
    struct message message = {.offset = 0};
    while (pl_cursor_left(&set) > 0) {
        enum pl_err err = read_message(&set, &message);
        if (err != PL_OK) {
            return err;
        }
    }
    /* else a set as a client sends it: no broker has given the wrapper its offset yet */
    if (message.offset >= 0 && wrapper->offset > message.offset) {
        *base = wrapper->offset - message.offset;
    }
    return PL_OK;
}

/* The next message inside a wrapper, with its absolute offset and its time. */
static enum pl_err read_inner(struct pl_cursor *set, const struct message *wrapper, int64_t base,
                              struct message *message) {
    enum pl_err err = read_message(set, message);
    if (err != PL_OK) {
        return err;
    }
    if ((message->attributes & ATTRIBUTE_COMPRESSION) != 0 || message->magic != wrapper->magic ||
        message->offset < 0 || message->offset > INT64_MAX - base) {
        return PL_ERR_CORRUPT;
    }
    message->offset += base;
    if ((wrapper->attributes & ATTRIBUTE_APPEND_TIME) != 0) {
        message->timestamp = wrapper->timestamp;
    }
    return PL_OK;
}

static enum pl_err add_wrapped(struct conversion *conversion, const struct message *wrapper) {
    struct pl_codec *codec = conversion->codec;
    enum pl_compression type = (enum pl_compression)(wrapper->attributes & ATTRIBUTE_COMPRESSION);
    if (wrapper->value.length < 0 || type > PL_COMPRESSION_LZ4) {
        return PL_ERR_CORRUPT;
    }
    enum pl_err err = pl_codec_decompress(codec, type, wrapper->value.data,
                                          (size_t)wrapper->value.length, &codec->inner);
    struct pl_cursor set = pl_cursor_open(codec->inner.bytes, codec->inner.length);
    int64_t base = 0;
    if (err == PL_OK && conversion->keep_offsets) {
        err = inner_base(wrapper, set, &base);
    }
    while (err == PL_OK && pl_cursor_left(&set) > 0) {
        struct message message;
        err = read_inner(&set, wrapper, base, &message);
        if (err == PL_OK) {
            err = add(conversion, &message);
        }
    }
    return err;
}

static enum pl_err convert(struct conversion *conversion, const uint8_t *bytes, size_t n) {
    struct pl_cursor set = pl_cursor_open(bytes, n);
    enum pl_err err = PL_OK;
    for (bool first = true; err == PL_OK && pl_cursor_left(&set) > 0; first = false) {
        struct message message;
        err = read_message(&set, &message);
        if (err != PL_OK) {
            return err;
        }
        int compression = message.attributes & ATTRIBUTE_COMPRESSION;
        if (first) {
            conversion->compression = (enum pl_compression)compression;
        }
        err = compression == 0 ? add(conversion, &message)
                               : add_wrapped(conversion, &message);
    }
    return err == PL_OK && !conversion->started ? PL_ERR_INVALID : err;
}

enum pl_err pl_message_set_to_batch(struct pl_codec *codec, const uint8_t *bytes, size_t n,
                                    bool keep_offsets, const uint8_t **out, size_t *out_n) {
    enum pl_err err = PL_OK;
    if (codec->converted == NULL) {
        struct pl_batch_options options = pl_batch_options_default();
        err = pl_batch_builder_create(&options, &codec->converted);
    }
    struct conversion conversion = {
        .codec = codec,
        .builder = codec->converted,
        .keep_offsets = keep_offsets,
    };
    if (err == PL_OK) {
        err = convert(&conversion, bytes, n);
    }
    if (err == PL_OK) {
        err = pl_batch_builder_build(codec->converted, codec, out, out_n);
    }
    return err;
}
