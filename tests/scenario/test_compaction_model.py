"""Compaction and retention against a model, with random keys, tombstones, transactions and kills.

A process writes to a log that is compacted all the time, and is killed in the middle. What was
acknowledged is known; whatever is in the log afterwards must follow from it.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.compacting_log import PRODUCERS, RETENTION_BYTES, SEGMENT_BYTES, open_log
from tests.support.wait import wait_until

from pylog.codec import RecordBatch, decode_batches
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError, PartitionOffsets
from pylog.protocol.errors import ErrorCode

ROOT: Final = Path(__file__).resolve().parents[2]
KILLS: Final = 8
TIMEOUT_S: Final = 60.0
READ_BYTES: Final = 1 << 20

Pair = tuple[str | None, str | None]


@dataclass
class Model:
    """What was acknowledged, and what became of transactions."""

    records: dict[int, Pair] = field(default_factory=dict)  # by offset
    owners: dict[int, int] = field(default_factory=dict)  # offset → producer
    aborted: set[int] = field(default_factory=set)  # offsets
    undecided: dict[int, set[int]] = field(default_factory=dict)  # offsets by producer
    sequences: dict[int, int] = field(default_factory=dict)  # the last of each producer
    end: int = 0
    doubtful: dict[str, Any] | None = None  # tried, neither acknowledged nor refused

    def take(self, told: dict[str, Any], offset: int) -> None:
        """Something was appended there."""
        producer_id = told["of"]
        if "commit" in told:
            offsets = self.undecided.pop(producer_id, set())
            if not told["commit"]:
                self.aborted |= offsets
            self.end = offset + 1
            return
        for place, (key, value) in enumerate(told["records"], offset):
            self.records[place] = (key, value)
            self.owners[place] = producer_id
            if producer_id > PRODUCERS[0]:
                self.undecided.setdefault(producer_id, set()).add(place)
        self.end = offset + len(told["records"])
        if producer_id >= 0:
            self.sequences[producer_id] = self.sequences.get(producer_id, -1) + len(told["records"])

    def is_open(self, offset: int) -> bool:
        return any(offset in offsets for offsets in self.undecided.values())

    def newest(self, start: int, stable: int) -> dict[str | None, int]:
        """The newest committed offset of each key."""
        found = {}
        for offset in sorted(self.records):
            if start <= offset < stable and offset not in self.aborted:
                found[self.records[offset][0]] = offset
        return found


def run_and_kill(folder: Path, policy: str, model: Model, rng: random.Random) -> None:
    """Let the process write for some time; what it said goes into the model."""
    module = "tests.support.compacting_log"
    command = [sys.executable, "-m", module, str(folder), str(rng.getrandbits(32)), policy]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    until = rng.randrange(50, 800)
    tried = None
    with process.stdout:
        for number, line in enumerate(process.stdout):
            said = json.loads(line) if line.endswith("\n") else {}
            if "try" in said:
                tried = said["try"]
            elif "ack" in said and tried is not None:
                model.take(tried, said["ack"])
                tried = None
            if number == until:
                process.kill()
    process.wait()
    model.doubtful = tried


def start_beyond(log: Partition, at: int, error: EngineError) -> int:
    """The start of the log, when retention has just moved it beyond `at`."""
    start = log.offsets().log_start
    if error.code != ErrorCode.OFFSET_OUT_OF_RANGE or start <= at:
        raise error
    return start


async def read_all(log: Partition) -> list[RecordBatch]:
    found: list[RecordBatch] = []
    offsets = log.offsets()
    at = offsets.log_start
    while at < offsets.log_end:
        try:
            data, at = await log.read(at, READ_BYTES, to_log_end=True)
            found += decode_batches(data)
        except EngineError as error:
            at = start_beyond(log, at, error)
    return found


def resolve_doubt(model: Model, batches: list[RecordBatch], log_end: int) -> None:
    """What was under way when the process was killed is in the log as a whole, or not at all."""
    if model.doubtful is not None and log_end > model.end:
        last = batches[-1]
        assert last.base_offset == model.end
        model.take(model.doubtful, model.end)
    model.doubtful = None
    assert log_end == model.end


def check_contents(model: Model, batches: list[RecordBatch], start: int, stable: int) -> None:
    there: dict[int, Pair] = {}
    for batch in batches:
        for record in () if batch.is_control else batch:
            key, value = (None if it is None else it.decode() for it in (record.key, record.value))
            assert record.offset not in there
            there[record.offset] = (key, value)
    assert list(there) == sorted(there)
    for offset, pair in there.items():
        assert model.records[offset] == pair
    for key, offset in model.newest(start, stable).items():
        # Tombstones too: their time (delete.retention.ms, a day) is not over.
        assert there.get(offset) == model.records[offset], (key, offset)
    for offset, pair in model.records.items():
        assert offset < start or not model.is_open(offset) or there.get(offset) == pair


async def check_deliverable(model: Model, log: Partition) -> None:
    """Readers of committed records are told which batches are aborted."""
    offsets = log.offsets()
    at = offsets.log_start
    while at < offsets.last_stable:
        try:
            survey = await log.survey(at, offsets.last_stable, READ_BYTES, read_committed=True)
        except EngineError as error:
            at = start_beyond(log, at, error)
            continue
        for view in survey.batches:
            places = range(view.first_offset, view.last_offset + 1)
            known = [place for place in places if place in model.records]
            if view.deliverable:
                assert not model.aborted.intersection(known)
        at = survey.next_offset


def check_producers(model: Model, log: Partition) -> None:
    views = {view.producer_id: view for view in log.producers()}
    for producer_id, sequence in model.sequences.items():
        if producer_id in views:  # retention may have taken all that it has written
            assert views[producer_id].last_sequence == sequence
    assert set(model.undecided) == {
        view.producer_id for view in views.values() if view.transaction_start >= 0
    }


def check_is_clean(model: Model, batches: list[RecordBatch], cleaned_end: int) -> None:
    """Below that offset nothing is left that has a newer record, or that was aborted."""
    newest = model.newest(0, cleaned_end)
    for batch in batches:
        for record in () if batch.is_control else batch:
            if record.offset < cleaned_end:
                assert newest[model.records[record.offset][0]] == record.offset


async def check(folder: Path, policy: str, model: Model) -> None:
    engine, log = await open_log(folder, policy)
    try:
        batches = await read_all(log)
        offsets = log.offsets()
        resolve_doubt(model, batches, offsets.log_end)
        check_contents(model, batches, offsets.log_start, offsets.last_stable)
        await check_deliverable(model, log)
        check_producers(model, log)
    finally:
        engine.close()


async def check_at_rest(folder: Path, policy: str, model: Model) -> None:
    """When nothing is written any more, all that can be compacted is, and no more than allowed
    is kept."""
    engine, log = await open_log(folder, policy)
    try:
        await asyncio.to_thread(wait_until, lambda: is_trimmed(log.offsets(), policy, model))
        done = None
        while done != (done := await settled(log)):
            pass
        batches = await read_all(log)
        offsets = log.offsets()
        check_contents(model, batches, offsets.log_start, offsets.last_stable)
        if "compact" in policy:
            check_is_clean(model, batches, offsets.cleaned_end)
    finally:
        engine.close()


def is_trimmed(offsets: PartitionOffsets, policy: str, model: Model) -> bool:
    """Whether compaction and retention have come by. Both may take long: others go first."""
    compacted = "compact" not in policy or offsets.cleaned_end > 0
    kept = "delete" in policy and not model.undecided
    return compacted and (not kept or offsets.size_bytes <= RETENTION_BYTES + 2 * SEGMENT_BYTES)


async def settled(log: Partition) -> tuple[int, ...]:
    await asyncio.sleep(0.2)  # many rounds of the cleaner, which looks every millisecond
    offsets = log.offsets()
    return offsets.log_start, offsets.cleaned_end, offsets.size_bytes


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete"])
def test_what_is_left_follows_from_what_was_acknowledged(tmp_path: Path, policy: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    model = Model()
    for _ in range(KILLS):
        run_and_kill(tmp_path, policy, model, rng)
        asyncio.run(check(tmp_path, policy, model))
    asyncio.run(check_at_rest(tmp_path, policy, model))
    assert len(model.records) > 500
