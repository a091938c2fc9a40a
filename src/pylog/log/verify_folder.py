"""Checks of a whole data folder: identity, checkpoints, and every log (:mod:`pylog.log.verify`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    read_begun_checkpoint,
    read_checkpoint,
)
from pylog.log.checkpoint_seal import SEAL_FILE, changed_files
from pylog.log.layout import (
    WrongFolder,
    has_clean_mark,
    is_in_use,
    log_folders_of,
    log_name,
    read_identity,
    read_topic_id,
)
from pylog.log.verify import Finding, LogCheck, LogEnd

Key = tuple[str, int]  # topic, partition
_QUORUM_LOG: Final = "__cluster_metadata"  # Kafka's own: its clean end says nothing of it


class Owner(NamedTuple):
    """What the metadata says of a data folder: its cluster ("" before its first broker) and the
    ids of the topics."""

    cluster_id: str
    topic_ids: Mapping[str, bytes]


class FolderCheck:
    """The checks of one data folder.

    With ``owner`` its identity and its logs are compared with the metadata. Beside a running
    broker only what it has finished is judged.
    """

    def __init__(self, path: Path, owner: Owner | None = None) -> None:
        self._path = path
        self._owner = owner
        self._growing = is_in_use(path)
        self._clean = has_clean_mark(path) and not self._growing
        self._found: list[Finding] = []
        self._ends = self._read(RECOVERY_POINT_FILE)
        self._starts = self._read(LOG_START_FILE)
        self._cleaned = self._read(CLEANER_FILE, read_begun_checkpoint)
        self._high_watermarks = self._read(HIGH_WATERMARK_FILE, read_begun_checkpoint)
        self._check_seal()

    def _check_seal(self) -> None:
        try:
            for path in changed_files(self._path):
                what = f"is not what was written: {SEAL_FILE} says otherwise, and holds"
                self._found.append(Finding(path, None, what))
        except MalformedCheckpoint as error:
            path = self._path / SEAL_FILE
            self._found.append(Finding(path, None, str(error).removeprefix(f"{path}: ")))

    def _read(
        self, name: str, read: Callable[[Path], dict[Key, int]] = read_checkpoint
    ) -> Mapping[Key, int]:
        path = self._path / name
        try:
            return read(path)
        except MalformedCheckpoint as error:
            self._found.append(Finding(path, None, str(error).removeprefix(f"{path}: ")))
            return {}

    def run(self) -> Iterator[Finding]:
        """Every finding, as soon as there is one."""
        yield from self._found
        yield from self._check_identity()
        folders = log_folders_of(self._path)
        for name, offsets in self._checkpoints():
            for topic, index in offsets.keys() - folders.keys():
                if not self._growing and name != HIGH_WATERMARK_FILE:  # Kafka leaves them there
                    yield Finding(self._path / name, None, f"there is no log {topic}-{index}")
        for folder in folders.values():
            yield from self.check_log(folder)

    def _checkpoints(self) -> Iterator[tuple[str, Mapping[Key, int]]]:
        yield RECOVERY_POINT_FILE, self._ends
        yield LOG_START_FILE, self._starts
        yield CLEANER_FILE, self._cleaned
        yield HIGH_WATERMARK_FILE, self._high_watermarks

    def _check_identity(self) -> Iterator[Finding]:
        path = self._path / "meta.properties"
        try:
            identity = read_identity(self._path)
        except WrongFolder as error:
            yield Finding(path, None, str(error).removeprefix(f"{path} "))
            return
        if identity is None:
            yield Finding(path, None, "missing")
        elif self._owner and self._owner.cluster_id not in ("", identity.cluster_id):
            what = f"cluster {identity.cluster_id}; the metadata is of {self._owner.cluster_id}"
            yield Finding(path, None, what)

    def check_log(self, folder: Path) -> Iterator[Finding]:
        """The findings of one log of this data folder."""
        key = log_name(folder)
        if key is None:
            yield Finding(folder, None, "no TOPIC-PARTITION")
            return
        yield from self._check_topic(folder, key)
        start = self._starts.get(key, 0)
        if not self._clean or key[0] == _QUORUM_LOG:
            check = LogCheck(folder, growing=self._growing)
        else:
            check = LogCheck(folder, end=LogEnd(start, self._ends.get(key, 0)))
        yield from check.run()
        if self._growing or check.findings:
            return
        for name, offsets in self._checkpoints():
            offset = offsets.get(key, 0)
            if offset > check.end_offset:
                what = f"{key[0]}-{key[1]} {offset} is beyond its end, {check.end_offset}"
                yield Finding(self._path / name, None, what)
        high_watermark = self._high_watermarks.get(key, start)
        if self._clean and high_watermark < start:
            what = f"{key[0]}-{key[1]} {high_watermark} is below its start, {start}"
            yield Finding(self._path / HIGH_WATERMARK_FILE, None, what)

    def _check_topic(self, folder: Path, key: Key) -> Iterator[Finding]:
        path = folder / "partition.metadata"
        try:
            topic_id = read_topic_id(folder)
        except WrongFolder as error:
            yield Finding(path, None, str(error).removeprefix(f"{path} "))
            return
        if topic_id is None and path.exists():
            yield Finding(path, None, "malformed")
        elif self._owner and topic_id and self._owner.topic_ids.get(key[0]) != topic_id:
            yield Finding(path, None, f"topic {key[0]} has another id, or there is none")


def doubles(folders: Iterable[Path]) -> Iterator[Finding]:
    """Logs that more than one of the data folders of a broker has."""
    found: dict[Key, Path] = {}
    for folder in folders:
        for key, path in log_folders_of(folder).items():
            twin = found.setdefault(key, path)
            if twin != path:
                yield Finding(path, None, f"the same partition as {twin}")
