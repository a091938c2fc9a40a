"""Records that each client wrote, read by every other: key, value, headers, time and place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.clients.client import Client, Record
from tests.clients.conftest import Start
from tests.clients.kinds import EVERY_COMPRESSION, KINDS, Kind
from tests.clients.samples import sample_records


@dataclass(frozen=True)
class Written:
    """A topic with what was written to it: fields as the writer gave them, the rest as franz-go
    read it, which is what all others are compared with."""

    topic: str
    records: list[Record]


@pytest.fixture(scope="module")
def written() -> dict[str, Written]:
    """By the writer's name; filled by the first test that reads of it."""
    return {}


def write(writer: Client, admin: Client, topic: str) -> Written:
    """Writes the sample with every compression; `admin` reads it back and compares."""
    admin.create_topic(topic)
    sample = sample_records(writer.kind)
    for compression in EVERY_COMPRESSION:
        writer.produce(topic, sample, compression=compression)
    sent = sample * len(EVERY_COMPRESSION)
    read = admin.read(topic, len(sent))
    for wrote, found in zip(sent, read, strict=True):
        assert found == replace(wrote, timestamp=wrote.timestamp or found.timestamp)
    return Written(topic, read)


@pytest.mark.parametrize("reader", KINDS, ids=lambda kind: f"read-by-{kind.name}")
@pytest.mark.parametrize(
    "writer",
    [pytest.param(kind, marks=pytest.mark.xdist_group(kind.name)) for kind in KINDS],
    ids=lambda kind: kind.name,
)
def test_each_client_reads_what_each_other_wrote(
    writer: Kind,
    reader: Kind,
    agent_of: Start,
    bootstrap: str,
    admin: Client,
    unique: str,
    written: dict[str, Written],
) -> None:
    if writer.name not in written:
        written[writer.name] = write(Client(agent_of(writer), bootstrap), admin, unique)
    expected = written[writer.name]
    read = Client(agent_of(reader), bootstrap).read(expected.topic, len(expected.records))
    assert [record.offset for record in read] == list(range(len(expected.records)))
    assert [seen_by(reader, r) for r in read] == [seen_by(reader, r) for r in expected.records]


def seen_by(reader: Kind, record: Record) -> Record:
    """The record as far as a reader can tell it."""
    if reader.name == "kcat":  # prints headers as C strings
        headers = tuple((n, b"NULL" if d is None else d.split(b"\0")[0]) for n, d in record.headers)
        return replace(record, headers=headers)
    return record
