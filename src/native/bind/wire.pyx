"""Encodes and decodes messages by walking the field tables of their classes.

The table of a class (see pylog.protocol.message) is turned into a Plan for one version when that
version is first used: steps in wire order, with everything that depends on the version decided.
Both directions walk the same plan. Rules of the format: https://kafka.apache.org/protocol and
KIP-482 for compact types and tagged fields.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport INT16_MAX, INT32_MAX, int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    ctypedef struct Py_buffer:
        void *buf
        Py_ssize_t len
    int PyObject_GetBuffer(object data, Py_buffer *view, int flags) except -1
    void PyBuffer_Release(Py_buffer *view)
    enum:
        PyBUF_SIMPLE

cdef extern from "base/limits.h":
    enum:
        PL_MAX_MESSAGE_ELEMENTS
        PL_MAX_TAGGED_FIELDS


class WireError(ValueError):
    """Bytes that are no such message, or a message that has no bytes in the version asked for."""


cdef enum Kind:
    BOOL, INT8, INT16, UINT16, INT32, INT64, FLOAT64, UUID, STRING, BYTES, STRUCT

cdef dict KINDS = {
    "bool": BOOL, "int8": INT8, "int16": INT16, "uint16": UINT16, "int32": INT32,
    "int64": INT64, "float64": FLOAT64, "uuid": UUID, "string": STRING, "bytes": BYTES,
    "records": BYTES, "struct": STRUCT,
}


# ---- plans ----

cdef class Step:
    """One field in one version."""
    cdef str name
    cdef Kind kind
    cdef bint is_array, nullable, compact, ignorable
    cdef int tag
    cdef Plan plan  # of a struct
    cdef object default  # (): a new list or struct
    cdef object struct_class

    cdef object new_default(self):
        if self.default != ():
            return self.default
        return [] if self.is_array else self.struct_class()

    cdef bint is_default(self, object value) except -1:
        if value is None or self.default is None:
            return value is self.default
        if self.default != ():
            return value == self.default
        return len(value) == 0 if self.is_array else value == self.struct_class()


cdef class Plan:
    """All fields of one class in one version."""
    cdef type cls
    cdef list steps  # on the wire, in order
    cdef list tagged  # by tag
    cdef list absent  # not in this version
    cdef bint flexible


cdef dict plans = {}  # (class, version) → Plan, of messages


cdef Plan plan_of(type cls, int version):
    key = (cls, version)
    found = plans.get(key)
    if found is not None:
        return found
    first, last = cls.VERSIONS
    if not first <= version <= last:
        raise WireError(f"{cls.__name__} has versions {first} to {last}, not {version}")
    flexible = cls.FLEXIBLE_FROM is not None and version >= cls.FLEXIBLE_FROM
    plan = make_plan(cls, version, flexible)
    plans[key] = plan
    return plan


cdef Plan make_plan(type cls, int version, bint flexible):
    cdef Plan plan = Plan()
    cdef Step step
    plan.cls, plan.flexible = cls, flexible
    plan.steps, plan.tagged, plan.absent = [], [], []
    for row in cls.FIELDS:
        step = make_step(row, version, flexible)
        if not in_range(version, row[2]):
            plan.absent.append(step)
        elif row[4] is None:
            plan.steps.append(step)
        else:
            plan.tagged.append(step)
    plan.tagged.sort(key=tag_of)
    return plan


def tag_of(Step step):
    return step.tag


cdef Step make_step(tuple row, int version, bint flexible):
    name, type_name, versions, nullable, tag, ignorable, default, struct_class = row
    cdef Step step = Step()
    step.name, step.default, step.struct_class = name, default, struct_class
    step.is_array = type_name.startswith("[]")
    step.kind = KINDS[type_name.removeprefix("[]")]
    step.nullable = in_range(version, nullable)
    step.compact, step.ignorable = flexible, ignorable
    step.tag = -1 if tag is None else tag
    if struct_class is not None and in_range(version, versions):
        step.plan = make_plan(struct_class, version, flexible)
    return step


cdef bint in_range(int version, str text) except -1:
    """Whether the version is one of "3", "3+", "3-5" or "" (none)."""
    if not text:
        return False
    if text.endswith("+"):
        return version >= int(text[:-1])
    first, _, last = text.partition("-")
    return int(first) <= version <= int(last or first)


# ---- reading ----

cdef class Reader:
    """A bounded position in bytes that somebody else keeps alive."""
    cdef const uint8_t *pos
    cdef const uint8_t *end
    cdef Py_ssize_t elements_left

    cdef const uint8_t *take(self, Py_ssize_t size) except NULL:
        cdef const uint8_t *start = self.pos
        if size > self.end - self.pos:
            raise WireError(f"{size} bytes needed, {self.end - self.pos} left")
        self.pos += size
        return start

    cdef uint64_t big_endian(self, int size) except? 0xDEADBEEF:
        cdef const uint8_t *bytes_ = self.take(size)
        cdef uint64_t value = 0
        cdef int i
        for i in range(size):
            value = value << 8 | bytes_[i]
        return value

    cdef uint32_t unsigned_varint(self) except? 0xDEADBEEF:
        cdef uint64_t value = 0
        cdef uint8_t byte
        cdef int shift
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= <uint64_t> (byte & 0x7F) << shift
            if not byte & 0x80:
                if value > 0xFFFFFFFFu:
                    break
                return <uint32_t> value
        raise WireError("an unsigned varint above 32 bits")

    cdef int64_t length(self, bint compact, int plain_size) except? -77:
        """A length, -1 for null, checked against the bytes that are left."""
        cdef int64_t size
        if compact:
            size = <int64_t> self.unsigned_varint() - 1
        elif plain_size == 2:
            size = <int16_t> self.big_endian(2)
        else:
            size = <int32_t> self.big_endian(4)
        if size == -1:
            return -1
        if size < 0 or (plain_size == 2 and size > INT16_MAX) or size > self.end - self.pos:
            raise WireError(f"a length of {size} with {self.end - self.pos} bytes left")
        return size


cdef object read_struct(Reader reader, Plan plan):
    cdef Step step
    cls = plan.cls
    message = cls.__new__(cls)
    for step in plan.steps:
        setattr(message, step.name, read_field(reader, step))
    for step in plan.absent:
        setattr(message, step.name, step.new_default())
    if plan.flexible:
        read_tags(reader, plan, message)
    return message


cdef int read_tags(Reader reader, Plan plan, object message) except -1:
    """Tagged fields in any order; those that the plan does not know are skipped."""
    cdef Step step
    cdef const uint8_t *end
    cdef uint32_t count, tag, size
    for step in plan.tagged:
        setattr(message, step.name, step.new_default())
    count = reader.unsigned_varint()
    if count > PL_MAX_TAGGED_FIELDS:
        raise WireError(f"{count} tagged fields")
    for _ in range(count):
        tag = reader.unsigned_varint()
        size = reader.unsigned_varint()
        end = reader.take(size) + size
        for step in plan.tagged:
            if <uint32_t> step.tag == tag:
                reader.pos = end - size
                setattr(message, step.name, read_field(reader, step))
                if reader.pos != end:
                    raise WireError(f"tagged field {step.name} is not of its stated size")
    return 0


cdef object read_field(Reader reader, Step step):
    cdef int64_t count
    cdef list values
    if not step.is_array:
        return read_value(reader, step, step.nullable)
    count = reader.length(step.compact, 4)
    if count < 0:
        return null_of(step)
    reader.elements_left -= count
    if reader.elements_left < 0:
        raise WireError(f"more than {PL_MAX_MESSAGE_ELEMENTS} elements")
    values = []
    for _ in range(count):
        values.append(read_value(reader, step, False))
    return values


cdef object null_of(Step step):
    if not step.nullable:
        raise WireError(f"{step.name} is null")
    return None


cdef object read_value(Reader reader, Step step, bint nullable):
    """A struct that may be null has a byte in front: 1, or -1 for null (0 in a tagged field)."""
    if step.kind == STRING or step.kind == BYTES:
        return read_bytes(reader, step, nullable)
    if step.kind == STRUCT:
        if nullable and <int8_t> reader.big_endian(1) <= (-1 if step.tag < 0 else 0):
            return None
        return read_struct(reader, step.plan)
    return read_fixed(reader, step.kind)


cdef object read_bytes(Reader reader, Step step, bint nullable):
    """A string or bytes. Text that is no UTF-8 gets replacement characters, as in Java."""
    cdef int64_t size = reader.length(step.compact, 2 if step.kind == STRING else 4)
    if size < 0:
        if not nullable:
            raise WireError(f"{step.name} is null")
        return None
    data = <const char *> reader.pos
    reader.pos += size
    if step.kind == STRING:
        return PyUnicode_DecodeUTF8(data, <Py_ssize_t> size, b"replace")
    return PyBytes_FromStringAndSize(data, <Py_ssize_t> size)


cdef object read_fixed(Reader reader, Kind kind):
    cdef uint64_t bits
    cdef double number
    if kind == INT32:
        return <int32_t> reader.big_endian(4)
    if kind == INT16:
        return <int16_t> reader.big_endian(2)
    if kind == INT64:
        return <int64_t> reader.big_endian(8)
    if kind == INT8:
        return <int8_t> reader.big_endian(1)
    if kind == BOOL:
        return reader.big_endian(1) != 0
    if kind == UINT16:
        return <uint16_t> reader.big_endian(2)
    if kind == UUID:
        return PyBytes_FromStringAndSize(<const char *> reader.take(16), 16)
    bits = reader.big_endian(8)
    memcpy(&number, &bits, 8)
    return number


# ---- writing ----

cdef class Writer:
    """Bytes that grow; with a list of parts, cut where somebody else's bytes belong."""
    cdef uint8_t *data
    cdef Py_ssize_t size, capacity
    cdef list parts

    def __dealloc__(self):
        free(self.data)

    cdef uint8_t *grow(self, Py_ssize_t size) except NULL:
        """Room for `size` bytes more, which count as written."""
        cdef Py_ssize_t capacity
        cdef uint8_t *data
        if self.size + size > self.capacity:
            capacity = max(256, 2 * self.capacity, self.size + size)
            data = <uint8_t *> realloc(self.data, capacity)
            if data == NULL:
                raise MemoryError
            self.data, self.capacity = data, capacity
        self.size += size
        return self.data + self.size - size

    cdef int append(self, const void *data, Py_ssize_t size) except -1:
        if size > 0:
            memcpy(self.grow(size), data, size)
        return 0

    cdef int big_endian(self, uint64_t value, int size) except -1:
        cdef uint8_t *at = self.grow(size)
        cdef int i
        for i in range(size):
            at[i] = <uint8_t> (value >> 8 * (size - 1 - i))
        return 0

    cdef int unsigned_varint(self, uint64_t value) except -1:
        while value > 0x7F:
            self.grow(1)[0] = <uint8_t> (value | 0x80)
            value >>= 7
        self.grow(1)[0] = <uint8_t> value
        return 0

    cdef int length(self, Py_ssize_t size, bint compact, int plain_size) except -1:
        """A length; -1 is null."""
        if size > (INT16_MAX if plain_size == 2 else INT32_MAX - 1):
            raise WireError(f"{size} is too long")
        if compact:
            return self.unsigned_varint(<uint64_t> (size + 1))
        return self.big_endian(<uint64_t> size, plain_size)

    cdef bytes finish(self):
        return PyBytes_FromStringAndSize(<const char *> self.data, self.size)


cdef int write_struct(Writer writer, Plan plan, object message) except -1:
    cdef Step step
    for step in plan.steps:
        write_field(writer, step, getattr(message, step.name))
    for step in plan.absent:
        if not step.ignorable and not step.is_default(getattr(message, step.name)):
            raise WireError(f"{plan.cls.__name__}.{step.name} does not exist in this version")
    if plan.flexible:
        write_tags(writer, plan, message)
    return 0


cdef int write_tags(Writer writer, Plan plan, object message) except -1:
    """The tagged fields that differ from their default, by tag, each behind its size."""
    cdef Step step
    cdef Writer field
    cdef list present = [
        step for step in plan.tagged if not step.is_default(getattr(message, step.name))
    ]
    writer.unsigned_varint(len(present))
    for step in present:
        field = Writer()
        write_field(field, step, getattr(message, step.name))
        writer.unsigned_varint(step.tag)
        writer.unsigned_varint(field.size)
        writer.append(field.data, field.size)
    return 0


cdef int write_field(Writer writer, Step step, object value) except -1:
    if not step.is_array:
        return write_value(writer, step, value, step.nullable)
    if value is None:
        check_null(step, step.nullable)
        return writer.length(-1, step.compact, 4)
    writer.length(len(value), step.compact, 4)
    for element in value:
        write_value(writer, step, element, False)
    return 0


cdef int check_null(Step step, bint nullable) except -1:
    if not nullable:
        raise WireError(f"{step.name} must not be null in this version")
    return 0


cdef int write_value(Writer writer, Step step, object value, bint nullable) except -1:
    if step.kind == STRING:
        return write_string(writer, step, value, nullable)
    if step.kind == BYTES:
        return write_bytes(writer, step, value, nullable)
    if step.kind != STRUCT:
        return write_fixed(writer, step, value)
    if value is None:
        check_null(step, nullable)
        return writer.big_endian(0xFF if step.tag < 0 else 0, 1)
    if nullable:
        writer.big_endian(1, 1)
    return write_struct(writer, step.plan, value)


cdef int write_string(Writer writer, Step step, object value, bint nullable) except -1:
    cdef Py_ssize_t size
    cdef const char *data
    if value is None:
        check_null(step, nullable)
        return writer.length(-1, step.compact, 2)
    try:
        data = PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError:
        raise WireError(f"{step.name} is no text: {value!r}") from None
    writer.length(size, step.compact, 2)
    return writer.append(data, size)


cdef int write_bytes(Writer writer, Step step, object value, bint nullable) except -1:
    cdef Py_buffer view
    if value is None:
        check_null(step, nullable)
        return writer.length(-1, step.compact, 4)
    if writer.parts is not None and not isinstance(value, bytes):
        writer.parts += [writer.finish(), value]
        writer.size = 0
        return 0
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        writer.length(view.len, step.compact, 4)
        writer.append(view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int write_fixed(Writer writer, Step step, object value) except -1:
    cdef double number
    cdef uint64_t bits
    if step.kind == INT32:
        return write_integer(writer, step, value, 4, -0x80000000, 0x7FFFFFFF)
    if step.kind == INT16:
        return write_integer(writer, step, value, 2, -0x8000, 0x7FFF)
    if step.kind == INT64:
        return write_integer(writer, step, value, 8, -0x8000000000000000, 0x7FFFFFFFFFFFFFFF)
    if step.kind == INT8:
        return write_integer(writer, step, value, 1, -0x80, 0x7F)
    if step.kind == BOOL:
        return writer.big_endian(1 if value else 0, 1)
    if step.kind == UINT16:
        return write_integer(writer, step, value, 2, 0, 0xFFFF)
    if step.kind == UUID:
        if len(value) != 16:
            raise WireError(f"{step.name} has {len(value)} bytes, a uuid has 16")
        return writer.append(PyBytes_AsString(value), 16)
    number = value
    memcpy(&bits, &number, 8)
    return writer.big_endian(bits, 8)


cdef int write_integer(
    Writer writer, Step step, object value, int size, int64_t low, int64_t high
) except -1:
    cdef int64_t number
    try:
        number = value
    except OverflowError:
        raise WireError(f"{step.name} is out of range: {value}") from None
    if not low <= number <= high:
        raise WireError(f"{step.name} is out of range: {value}")
    return writer.big_endian(<uint64_t> number, size)


# ---- the doors ----

def encode(message, int version):
    """The bytes of a message in one version, without a header."""
    cdef Writer writer = Writer()
    write_struct(writer, plan_of(type(message), version), message)
    return writer.finish()


def encode_parts(message, int version):
    """Like encode, in parts: what is no bytes where records belong is a part of its own, and its
    length is not written."""
    cdef Writer writer = Writer()
    writer.parts = []
    write_struct(writer, plan_of(type(message), version), message)
    writer.parts.append(writer.finish())
    return writer.parts


def decode(type cls, data, int version):
    """The message of this class at the start of `data` (any buffer), in one version."""
    cdef Reader reader = Reader()
    cdef Plan plan = plan_of(cls, version)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        reader.pos = <const uint8_t *> view.buf
        reader.end = reader.pos + view.len
        reader.elements_left = PL_MAX_MESSAGE_ELEMENTS
        return read_struct(reader, plan)
    finally:
        PyBuffer_Release(&view)
