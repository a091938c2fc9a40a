/* The records of a batch, decompressed when need be. */
#include "codec/codec.h"

enum pl_err pl_batch_open_records(struct pl_codec *codec, const struct pl_batch *batch,
                                  struct pl_record_reader *reader) {
    const uint8_t *records = batch->bytes + PL_BATCH_HEADER_BYTES;
    size_t n = batch->size - PL_BATCH_HEADER_BYTES;
    enum pl_compression type = pl_batch_compression(&batch->header);
    if (type != PL_COMPRESSION_NONE) {
        enum pl_err err = pl_decompress(codec, type, records, n, &records, &n);
        if (err != PL_OK) {
            return err;
        }
    }
    *reader = pl_record_reader_open(records, n, batch->header.records_count);
    return PL_OK;
}

static void note_record(const struct pl_batch_header *header, const struct pl_record *record,
                        int32_t index, struct pl_batch_scan *scan) {
    if (record->key.length < 0 && scan->first_keyless < 0) {
        scan->first_keyless = index;
    }
    if (record->offset_delta != index && scan->bad_record < 0) {
        scan->bad_record = index;
    }
    int64_t timestamp = pl_record_timestamp(header, record);
    if (timestamp > scan->max_timestamp) {
        scan->max_timestamp = timestamp;
        scan->max_timestamp_index = index;
    }
}

enum pl_err pl_batch_scan(struct pl_codec *codec, const struct pl_batch *batch,
                          struct pl_batch_scan *scan) {
    *scan = (struct pl_batch_scan){.first_keyless = -1, .bad_record = -1, .max_timestamp = -1};
    struct pl_record_reader reader;
    enum pl_err err = pl_batch_open_records(codec, batch, &reader);
    if (err != PL_OK) {
        return err;
    }
    struct pl_record record;
    int32_t index = 0;
    for (; pl_record_reader_next(&reader, &record); index++) {
        note_record(&batch->header, &record, index, scan);
    }
    if (reader.cursor.err != PL_OK) {
        scan->bad_record = index;
        return reader.cursor.err;
    }
    return scan->bad_record < 0 ? PL_OK : PL_ERR_INVALID;
}
