# The declarations of pylog/codec.h that the Python face uses.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t


cdef extern from "pylog/codec.h" nogil:
    enum pl_err:
        PL_OK
        PL_ERR_MEMORY
        PL_ERR_LIMIT
        PL_ERR_INVALID
        PL_ERR_CORRUPT
        PL_ERR_UNSUPPORTED
        PL_ERR_AGAIN

    struct pl_span:
        const uint8_t *data
        int32_t length

    struct pl_cursor:
        pl_err err

    uint32_t pl_crc32c(uint32_t crc, const void *data, size_t n)
    uint32_t pl_murmur2(const void *data, size_t n)

    enum pl_compression:
        PL_COMPRESSION_NONE

    enum pl_batch_attribute:
        PL_BATCH_APPEND_TIME
        PL_BATCH_TRANSACTIONAL
        PL_BATCH_CONTROL

    struct pl_batch_header:
        int64_t base_offset
        int32_t batch_length
        int32_t partition_leader_epoch
        int8_t magic
        uint32_t crc
        int16_t attributes
        int32_t last_offset_delta
        int64_t base_timestamp
        int64_t max_timestamp
        int64_t producer_id
        int16_t producer_epoch
        int32_t base_sequence
        int32_t records_count

    size_t pl_batch_size(const pl_batch_header *header)
    int64_t pl_batch_last_offset(const pl_batch_header *header)
    int32_t pl_batch_last_sequence(const pl_batch_header *header)
    pl_compression pl_batch_compression(const pl_batch_header *header)
    bint pl_batch_is(const pl_batch_header *header, pl_batch_attribute attribute)

    enum pl_batch_origin:
        PL_BATCH_FROM_CLIENT
        PL_BATCH_FROM_LOG

    pl_err pl_batch_check(const uint8_t *data, size_t n, pl_batch_origin origin,
                          pl_batch_header *header, const char **reason)

    struct pl_batch:
        pl_batch_header header
        const uint8_t *bytes
        size_t size
        size_t position

    struct pl_batch_reader:
        size_t position
        pl_err err

    pl_batch_reader pl_batch_reader_open(const uint8_t *data, size_t n)
    bint pl_batch_reader_next(pl_batch_reader *reader, pl_batch *batch)

    struct pl_record:
        int32_t offset_delta
        int64_t timestamp_delta
        pl_span key, value
        int32_t header_count

    struct pl_record_reader:
        pl_cursor cursor
        int32_t remaining

    pl_record_reader pl_record_reader_open(const uint8_t *records, size_t n, int32_t count)
    bint pl_record_reader_next(pl_record_reader *reader, pl_record *record)
    int64_t pl_record_timestamp(const pl_batch_header *header, const pl_record *record)

    struct pl_header_reader:
        int32_t remaining

    pl_header_reader pl_header_reader_open(const pl_record *record)
    bint pl_header_reader_next(pl_header_reader *reader, pl_span *key, pl_span *value)

    struct pl_codec:
        pass

    int32_t PL_LEVEL_DEFAULT
    int PL_BATCH_HEADER_BYTES

    pl_err pl_codec_create(size_t max_bytes, pl_codec **codec)
    void pl_codec_destroy(pl_codec *codec)
    pl_err pl_compress(pl_codec *codec, pl_compression kind, int32_t level, const uint8_t *data,
                       size_t n, const uint8_t **out, size_t *out_n)
    pl_err pl_decompress(pl_codec *codec, pl_compression kind, const uint8_t *data, size_t n,
                         const uint8_t **out, size_t *out_n)

    struct pl_batch_options:
        pl_compression compression
        int32_t level
        int32_t partition_leader_epoch
        int32_t base_sequence
        int64_t base_offset
        int64_t producer_id
        int16_t producer_epoch
        bint transactional
        bint control

    pl_batch_options pl_batch_options_default()

    struct pl_record_header:
        pl_span key, value

    struct pl_batch_builder:
        pass

    pl_err pl_batch_builder_create(const pl_batch_options *options, pl_batch_builder **builder)
    void pl_batch_builder_destroy(pl_batch_builder *builder)
    pl_err pl_batch_builder_append(pl_batch_builder *builder, int64_t timestamp_ms, pl_span key,
                                   pl_span value, const pl_record_header *headers,
                                   int32_t header_count)
    int32_t pl_batch_builder_count(const pl_batch_builder *builder)
    size_t pl_batch_builder_size(const pl_batch_builder *builder)
    pl_err pl_batch_builder_build(pl_batch_builder *builder, pl_codec *codec,
                                  const uint8_t **out, size_t *out_n)

    struct pl_marker:
        int16_t type
        int32_t coordinator_epoch

    int PL_MARKER_ABORT
    int PL_MARKER_COMMIT
    int PL_MARKER_BATCH_BYTES

    pl_err pl_marker_parse(const pl_batch *batch, pl_marker *marker)
    void pl_marker_build(uint8_t *batch, const pl_marker *marker, int64_t producer_id,
                         int16_t producer_epoch, int64_t timestamp_ms)

    size_t pl_message_set_span(const uint8_t *data, size_t n)
    pl_err pl_message_set_to_batch(pl_codec *codec, const uint8_t *data, size_t n,
                                   bint keep_offsets, const uint8_t **out, size_t *out_n)


cdef extern from "base/limits.h" nogil:
    int PL_MAX_BATCH_BYTES
