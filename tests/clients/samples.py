"""Records with everything that a record can have."""

from __future__ import annotations

from tests.clients.client import Record
from tests.clients.kinds import Kind

NOON_MS = 1_431_864_000_000


def sample_records(kind: Kind | None) -> list[Record]:
    """Null, empty, binary and long fields, repeated headers, times; as far as `kind` can."""
    records = [
        Record(b"value", b"key", (("a", b"1"),)),
        Record(b"no key"),
        Record(None, b"tombstone"),
        Record(b"text", "schl\u00fcssel".encode(), (("utf8-\u00e9", b"\xc3\xa9"), ("empty", b""))),
        Record(b"repeated header", headers=(("a", b"1"), ("a", b"2"))),
        Record(b"compressible " * 2_000, "schl\u00fcssel".encode()),
    ]
    if kind is None or "binary" in kind.can:
        records.append(Record(bytes(range(256)), b"\x00\n\t\xff", (("bits", b"\x00\xff\x80"),)))
        records.append(Record(b"", b""))
    if kind is None or "timestamp" in kind.can:
        records += [Record(b"dated %d" % n, timestamp=NOON_MS + n * 1_000) for n in range(3)]
    if kind is None or "null_record" in kind.can:
        records.append(Record(None, None))
    if kind is None or "null_header" in kind.can:
        records.append(Record(b"null header", headers=(("nothing", None),)))
    return records
