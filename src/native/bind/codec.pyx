"""Record batches between C and Python objects; the public face is pylog.codec.

Only what touches an object is here: bytes and integers go to the functions of pylog/codec.h,
what they give becomes objects, and their error codes become CodecError.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.bytes cimport PyBytes_Size
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from codec cimport *

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)

cdef enum:
    NOGIL_BYTES = 4096  # work on fewer is shorter than giving up the interpreter lock
    SPARE_CODECS = 4


class CodecError(ValueError):
    """Bytes that are no record batch or no compressed data, or a batch that cannot be built."""


cdef object error(pl_err err, str what):
    if err == PL_ERR_MEMORY:
        return MemoryError(what)
    if err == PL_ERR_LIMIT:
        return CodecError(f"{what}: larger than allowed")
    if err == PL_ERR_INVALID:
        return CodecError(f"{what}: not valid")
    if err == PL_ERR_UNSUPPORTED:
        return CodecError(f"{what}: not supported")
    return CodecError(f"{what}: corrupt")


# ---- bytes ----

cdef bytes as_bytes(object data):
    return data if PyBytes_CheckExact(data) else bytes(memoryview(data))


cdef pl_span span_of(object data) except *:
    """Of bytes that the caller keeps alive, or of None."""
    cdef pl_span span
    span.data, span.length = NULL, -1
    if data is None:
        return span
    if not PyBytes_CheckExact(data):
        raise TypeError(f"bytes or None expected, not {type(data).__name__}")
    if PyBytes_Size(data) > PL_MAX_BATCH_BYTES:
        raise CodecError("a key, value or header is larger than a batch may be")
    span.data = <const uint8_t *> PyBytes_AsString(data)
    span.length = <int32_t> PyBytes_Size(data)
    return span


cdef object bytes_of(pl_span span):
    if span.length < 0:
        return None
    return PyBytes_FromStringAndSize(<const char *> span.data, span.length)


def crc32c(data, uint32_t value=0):
    cdef bytes whole = as_bytes(data)
    cdef const uint8_t *at = <const uint8_t *> PyBytes_AsString(whole)
    cdef size_t n = PyBytes_Size(whole)
    if n < NOGIL_BYTES:
        return pl_crc32c(value, at, n)
    with nogil:
        value = pl_crc32c(value, at, n)
    return value


def murmur2(data):
    cdef bytes whole = as_bytes(data)
    return pl_murmur2(PyBytes_AsString(whole), PyBytes_Size(whole))


# ---- compression ----

cdef class Codec:
    """The warm contexts of one thread's call; see borrowed()."""
    cdef pl_codec *codec

    def __cinit__(self, size_t max_bytes=PL_MAX_BATCH_BYTES):
        cdef pl_err err = pl_codec_create(max_bytes, &self.codec)
        if err != PL_OK:
            raise error(err, "codec")

    def __dealloc__(self):
        pl_codec_destroy(self.codec)


cdef list spare_codecs = []


cdef Codec borrow():
    try:
        return spare_codecs.pop()
    except IndexError:
        return Codec()


cdef give_back(Codec codec):
    if len(spare_codecs) < SPARE_CODECS:
        spare_codecs.append(codec)


cdef pl_compression compression_of(int compression) except *:
    if not 0 <= compression <= 4:
        raise CodecError(f"compression type {compression} does not exist")
    return <pl_compression> compression


cdef int32_t level_of(object level) except? -99:
    return PL_LEVEL_DEFAULT if level is None else level


def compress(data, int compression, level=None):
    cdef pl_compression kind = compression_of(compression)
    cdef int32_t wanted = level_of(level)
    cdef bytes whole = as_bytes(data)
    cdef const uint8_t *at = <const uint8_t *> PyBytes_AsString(whole)
    cdef size_t n = PyBytes_Size(whole), out_n
    cdef const uint8_t *out
    cdef pl_err err
    cdef Codec codec = borrow()
    with nogil:
        err = pl_compress(codec.codec, kind, wanted, at, n, &out, &out_n)
    if err == PL_ERR_INVALID:
        raise CodecError(f"compression type {compression} has no level {level}")
    if err != PL_OK:
        raise error(err, "data to compress")
    result = PyBytes_FromStringAndSize(<const char *> out, out_n)
    give_back(codec)
    return result


cdef bytes decompress_with(Codec codec, const uint8_t *at, size_t n, pl_compression kind):
    cdef const uint8_t *out
    cdef size_t out_n
    cdef pl_err err
    with nogil:
        err = pl_decompress(codec.codec, kind, at, n, &out, &out_n)
    if err != PL_OK:
        raise error(err, "compressed data")
    return PyBytes_FromStringAndSize(<const char *> out, out_n)


cdef bytes decompress_at(const uint8_t *at, size_t n, pl_compression kind):
    cdef Codec codec = borrow()
    result = decompress_with(codec, at, n, kind)
    give_back(codec)
    return result


def decompress(data, int compression, max_bytes=None):
    cdef pl_compression kind = compression_of(compression)
    cdef bytes whole = as_bytes(data)
    cdef const uint8_t *at = <const uint8_t *> PyBytes_AsString(whole)
    if max_bytes is None:
        return decompress_at(at, PyBytes_Size(whole), kind)
    return decompress_with(Codec(max_bytes), at, PyBytes_Size(whole), kind)


# ---- records ----

cdef class Record:
    cdef readonly int64_t offset
    cdef readonly int64_t timestamp_ms
    cdef readonly bytes key
    cdef readonly bytes value
    cdef readonly tuple headers

    def __init__(self, bytes key=None, bytes value=None, int64_t timestamp_ms=-1, headers=(),
                 int64_t offset=0):
        self.offset, self.timestamp_ms = offset, timestamp_ms
        self.key, self.value, self.headers = key, value, tuple(headers)

    cdef tuple fields(self):
        return self.offset, self.timestamp_ms, self.key, self.value, self.headers

    def __eq__(self, other):
        if not isinstance(other, Record):
            return NotImplemented
        return self.fields() == (<Record> other).fields()

    def __hash__(self):
        return hash(self.fields())

    def __reduce__(self):
        return Record, (self.key, self.value, self.timestamp_ms, self.headers, self.offset)

    def __repr__(self):
        return (
            f"Record(offset={self.offset}, timestamp_ms={self.timestamp_ms}, key={self.key!r}, "
            f"value={self.value!r}, headers={self.headers!r})"
        )


cdef tuple headers_of(const pl_record *record):
    if record.header_count == 0:
        return ()
    cdef pl_header_reader reader = pl_header_reader_open(record)
    cdef pl_span key, value
    cdef list headers = []
    while pl_header_reader_next(&reader, &key, &value):
        name = PyUnicode_DecodeUTF8(<const char *> key.data, key.length, "surrogateescape")
        headers.append((name, bytes_of(value)))
    return tuple(headers)


cdef class RecordIterator:
    cdef RawBatch batch
    cdef bytes records  # keeps what the reader points into
    cdef pl_record_reader reader

    def __iter__(self):
        return self

    def __next__(self):
        cdef pl_record record
        if not pl_record_reader_next(&self.reader, &record):
            if self.reader.cursor.err != PL_OK:
                raise CodecError(f"{self.batch.name()}: a record is malformed")
            raise StopIteration
        cdef Record result = Record.__new__(Record)
        result.offset = self.batch.header.base_offset + record.offset_delta
        result.timestamp_ms = pl_record_timestamp(&self.batch.header, &record)
        result.key = bytes_of(record.key)
        result.value = bytes_of(record.value)
        result.headers = headers_of(&record)
        return result


# ---- batches ----

cdef class RawBatch:
    """Header fields and records; pylog.codec.RecordBatch adds what needs no C."""
    cdef pl_batch_header header
    cdef bytes data  # the batch lies in it
    cdef size_t position
    cdef bytes plain  # its records, when they had to be decompressed

    @property
    def base_offset(self):
        return self.header.base_offset

    @property
    def last_offset(self):
        return pl_batch_last_offset(&self.header)

    @property
    def partition_leader_epoch(self):
        return self.header.partition_leader_epoch

    @property
    def crc(self):
        return self.header.crc

    @property
    def attributes(self):
        return self.header.attributes

    @property
    def compression_type(self):
        return <int> pl_batch_compression(&self.header)

    @property
    def has_append_time(self):
        return pl_batch_is(&self.header, PL_BATCH_APPEND_TIME)

    @property
    def is_transactional(self):
        return pl_batch_is(&self.header, PL_BATCH_TRANSACTIONAL)

    @property
    def is_control(self):
        return pl_batch_is(&self.header, PL_BATCH_CONTROL)

    @property
    def base_timestamp_ms(self):
        return self.header.base_timestamp

    @property
    def max_timestamp_ms(self):
        return self.header.max_timestamp

    @property
    def producer_id(self):
        return self.header.producer_id

    @property
    def producer_epoch(self):
        return self.header.producer_epoch

    @property
    def base_sequence(self):
        return self.header.base_sequence

    @property
    def last_sequence(self):
        return pl_batch_last_sequence(&self.header)

    @property
    def size(self):
        return pl_batch_size(&self.header)

    def __len__(self):
        return self.header.records_count

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<const char *> self.at(), self.size)

    cdef const uint8_t *at(self) except NULL:
        return <const uint8_t *> PyBytes_AsString(self.data) + self.position

    cdef str name(self):
        return f"batch at offset {self.header.base_offset}"

    cdef RecordIterator open(self):
        cdef RecordIterator iterator = RecordIterator.__new__(RecordIterator)
        cdef pl_compression kind = pl_batch_compression(&self.header)
        cdef const uint8_t *records = self.at() + PL_BATCH_HEADER_BYTES
        cdef size_t n = pl_batch_size(&self.header) - PL_BATCH_HEADER_BYTES
        iterator.batch, iterator.records = self, self.data
        if kind != PL_COMPRESSION_NONE:
            if self.plain is None:
                self.plain = decompress_at(records, n, kind)
            iterator.records = self.plain
            records = <const uint8_t *> PyBytes_AsString(self.plain)
            n = PyBytes_Size(self.plain)
        iterator.reader = pl_record_reader_open(records, n, self.header.records_count)
        return iterator

    def __iter__(self):
        return self.open()

    def marker(self):
        """(commit?, coordinator epoch), or None for any other batch."""
        cdef pl_batch batch
        cdef pl_marker marker
        batch.header, batch.bytes, batch.size = self.header, self.at(), self.size
        cdef pl_err err = pl_marker_parse(&batch, &marker)
        if err == PL_ERR_INVALID:
            return None
        if err != PL_OK:
            raise CodecError(f"{self.name()}: malformed control record")
        if marker.type != PL_MARKER_COMMIT and marker.type != PL_MARKER_ABORT:
            return None
        return marker.type == PL_MARKER_COMMIT, marker.coordinator_epoch

    def fill_columns(self):
        """Bytes of arrays: offsets, timestamps; for keys and then values: positions of int32 (one
        more than records), nulls as bool, and the bytes."""
        cdef Columns columns = Columns(self)
        return columns.fill()


cdef class Column:
    """The keys or the values of a batch, one behind the other."""
    cdef object positions, nulls, data
    cdef uint8_t *next_byte
    cdef int32_t *position
    cdef uint8_t *null
    cdef int32_t length

    def __cinit__(self, Py_ssize_t count, Py_ssize_t size):
        self.positions = PyBytes_FromStringAndSize(NULL, 4 * (count + 1))
        self.nulls = PyBytes_FromStringAndSize(NULL, count)
        self.data = PyBytes_FromStringAndSize(NULL, size)
        self.position = <int32_t *> PyBytes_AsString(self.positions)
        self.null = <uint8_t *> PyBytes_AsString(self.nulls)
        self.next_byte = <uint8_t *> PyBytes_AsString(self.data)
        self.position[0] = 0

    cdef void add(self, Py_ssize_t index, pl_span span) noexcept:
        self.null[index] = span.length < 0
        if span.length > 0:
            memcpy(self.next_byte + self.length, span.data, span.length)
            self.length += span.length
        self.position[index + 1] = self.length

    cdef tuple parts(self):
        return self.positions, self.nulls, self.data


cdef class Columns:
    cdef RawBatch batch

    def __cinit__(self, RawBatch batch):
        self.batch = batch

    cdef tuple sizes(self):
        """Bytes of all keys and of all values; the records are known to be sound after it."""
        cdef RecordIterator iterator = self.batch.open()
        cdef pl_record record
        cdef Py_ssize_t keys = 0, values = 0
        while pl_record_reader_next(&iterator.reader, &record):
            keys += max(record.key.length, 0)
            values += max(record.value.length, 0)
        if iterator.reader.cursor.err != PL_OK:
            raise CodecError(f"{self.batch.name()}: a record is malformed")
        return keys, values

    cdef tuple fill(self):
        key_bytes, value_bytes = self.sizes()
        cdef Py_ssize_t count = self.batch.header.records_count, index = 0
        cdef Column keys = Column(count, key_bytes), values = Column(count, value_bytes)
        offsets = PyBytes_FromStringAndSize(NULL, 8 * count)
        timestamps = PyBytes_FromStringAndSize(NULL, 8 * count)
        cdef int64_t *offset = <int64_t *> PyBytes_AsString(offsets)
        cdef int64_t *timestamp = <int64_t *> PyBytes_AsString(timestamps)
        cdef RecordIterator iterator = self.batch.open()
        cdef pl_record record
        while pl_record_reader_next(&iterator.reader, &record):
            offset[index] = self.batch.header.base_offset + record.offset_delta
            timestamp[index] = pl_record_timestamp(&self.batch.header, &record)
            keys.add(index, record.key)
            values.add(index, record.value)
            index += 1
        return offsets, timestamps, keys.parts(), values.parts()


cdef class BatchIterator:
    """Over whole batches; each is checked, and becomes a batch_class."""
    cdef bytes data
    cdef type batch_class
    cdef Py_ssize_t position

    def __cinit__(self, data, type batch_class):
        self.data, self.batch_class = as_bytes(data), batch_class

    def __iter__(self):
        return self

    def __next__(self):
        cdef const uint8_t *at = <const uint8_t *> PyBytes_AsString(self.data) + self.position
        cdef size_t n = PyBytes_Size(self.data) - self.position
        cdef pl_batch_reader reader = pl_batch_reader_open(at, n)
        cdef pl_batch batch
        if pl_batch_reader_next(&reader, &batch):
            return self.checked(at, batch.size)
        if reader.err == PL_OK or reader.err == PL_ERR_AGAIN:
            raise StopIteration
        if reader.err == PL_ERR_UNSUPPORTED:
            return self.converted(at, n)
        raise CodecError(f"no record batch at byte {self.position}")

    cdef RawBatch new_batch(self, bytes data, Py_ssize_t position):
        cdef RawBatch batch = self.batch_class.__new__(self.batch_class)
        cdef const char *reason = NULL
        batch.data, batch.position = data, position
        cdef pl_err err = pl_batch_check(batch.at(), PyBytes_Size(data) - position,
                                         PL_BATCH_FROM_LOG, &batch.header, &reason)
        if err != PL_OK:
            raise CodecError(f"batch at byte {self.position}: {reason.decode()}")
        return batch

    cdef RawBatch checked(self, const uint8_t *at, size_t size):
        cdef RawBatch batch = self.new_batch(self.data, self.position)
        self.position += size
        return batch

    cdef RawBatch converted(self, const uint8_t *at, size_t n):
        """The messages of magic 0 and 1 that are next, as one batch."""
        cdef size_t span = pl_message_set_span(at, n), out_n
        cdef const uint8_t *out
        if span == 0:
            raise StopIteration  # the first of them is cut
        cdef Codec codec = borrow()
        cdef pl_err err = pl_message_set_to_batch(codec.codec, at, span, True, &out, &out_n)
        if err != PL_OK:
            raise error(err, f"message set at byte {self.position}")
        data = PyBytes_FromStringAndSize(<const char *> out, out_n)
        give_back(codec)
        batch = self.new_batch(data, 0)
        self.position += span
        return batch


# ---- building ----

cdef class BatchBuilder:
    cdef pl_batch_builder *builder
    cdef pl_record_header *headers  # room for those of one record
    cdef int32_t headers_room

    def __init__(self, int compression=0, level=None, *, int64_t producer_id=-1,
                 int16_t producer_epoch=-1, int32_t base_sequence=-1, bint transactional=False,
                 bint control=False, int64_t base_offset=0, int32_t partition_leader_epoch=-1):
        cdef pl_batch_options options = pl_batch_options_default()
        options.compression = compression_of(compression)
        options.level = level_of(level)
        options.producer_id, options.producer_epoch = producer_id, producer_epoch
        options.base_sequence, options.base_offset = base_sequence, base_offset
        options.transactional, options.control = transactional, control
        options.partition_leader_epoch = partition_leader_epoch
        pl_batch_builder_destroy(self.builder)
        self.builder = NULL
        cdef pl_err err = pl_batch_builder_create(&options, &self.builder)
        if err != PL_OK:
            raise error(err, "batch")

    def __dealloc__(self):
        pl_batch_builder_destroy(self.builder)
        free(self.headers)

    cdef make_room(self, Py_ssize_t count):
        if count > PL_MAX_BATCH_BYTES:
            raise CodecError("too many headers")
        if count <= self.headers_room:
            return
        room = realloc(self.headers, count * sizeof(pl_record_header))
        if room == NULL:
            raise MemoryError
        self.headers, self.headers_room = <pl_record_header *> room, <int32_t> count

    cdef list take_headers(self, headers):
        """Fills self.headers; the list keeps alive what it points to."""
        cdef list pairs = [
            (name.encode("utf-8", "surrogateescape"), value) for name, value in headers
        ]
        self.make_room(len(pairs))
        for index, (name, value) in enumerate(pairs):
            self.headers[index].key = span_of(name)
            self.headers[index].value = span_of(value)
        return pairs

    def append(self, key, value, int64_t timestamp_ms=-1, headers=()):
        cdef list pairs = self.take_headers(headers) if headers else []
        cdef pl_err err = pl_batch_builder_append(
            self.builder, timestamp_ms, span_of(key), span_of(value), self.headers,
            <int32_t> len(pairs))
        if err != PL_OK:
            raise error(err, "record")

    def __len__(self):
        return pl_batch_builder_count(self.builder)

    @property
    def size(self):
        return pl_batch_builder_size(self.builder)

    def build(self):
        cdef const uint8_t *out
        cdef size_t out_n
        cdef pl_err err
        if len(self) == 0:
            raise CodecError("a batch needs a record")
        cdef Codec codec = borrow()
        with nogil:
            err = pl_batch_builder_build(self.builder, codec.codec, &out, &out_n)
        if err == PL_ERR_INVALID:
            raise CodecError("the compression type has no such level")
        if err != PL_OK:
            raise error(err, "batch")
        result = PyBytes_FromStringAndSize(<const char *> out, out_n)
        give_back(codec)
        return result


def encode_marker(bint commit, int32_t coordinator_epoch, int64_t producer_id,
                  int16_t producer_epoch, int64_t timestamp_ms):
    cdef pl_marker marker
    marker.type = <int16_t> (PL_MARKER_COMMIT if commit else PL_MARKER_ABORT)
    marker.coordinator_epoch = coordinator_epoch
    batch = PyBytes_FromStringAndSize(NULL, PL_MARKER_BATCH_BYTES)
    pl_marker_build(<uint8_t *> PyBytes_AsString(batch), &marker, producer_id, producer_epoch,
                    timestamp_ms)
    return batch
