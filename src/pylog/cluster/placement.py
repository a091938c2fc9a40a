"""Which data folder has which log, where a new one goes, and the checkpoints of each folder."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pylog.cluster.store import Store, Write
from pylog.log.checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    read_begun_checkpoint,
    read_checkpoint,
)
from pylog.log.checkpoint_seal import SEAL_FILE, Reader, Seal, read_seal, write_checkpoints
from pylog.log.dirs import LogDirs
from pylog.log.layout import DataFolder

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
_WITHOUT: Final = {
    RECOVERY_POINT_FILE: "every batch of its logs is checked",
    LOG_START_FILE: "its logs start at their first segments: deleted records may be back",
    CLEANER_FILE: "its logs are compacted from their start",
    HIGH_WATERMARK_FILE: "logs that have lost their ends are not told",
}


class Marks(NamedTuple):
    """What checkpoints say of a log: up to where it is known to be on the disk, its start, up to
    where compaction has seen it, and up to where consumers may have read it."""

    recovery_point: int = 0
    log_start: int = 0
    cleaned_end: int = 0
    high_watermark: int = 0


class Placement:
    """The homes of logs. ``lost``: folders that this broker once had, by directory id: their
    paths. Logs that are nowhere may be there."""

    def __init__(self, dirs: LogDirs) -> None:
        self._dirs = dirs
        self._homes: dict[Key, DataFolder] = {}
        self._counts: Counter[DataFolder] = Counter()
        self._marks: dict[Key, Marks] = {}
        self._noted: dict[DataFolder, Collection[Key]] = {}  # what their checkpoints speak of
        self._clock = itertools.count(1)
        self._writing = threading.Lock()
        self._written: dict[DataFolder, int] = {}
        self.lost: dict[str, str] = {}

    async def find(self, keys: set[Key], node_id: int, store: Store) -> None:
        """Look which logs are where; ``keys`` are those that there should be. WrongFolder."""
        for key, folder in self._dirs.find_logs().items():
            self.put(key, folder)
        self._dirs.each(self._read_marks)
        await self._note_directories(keys, node_id, store)

    # ---- folders that are no longer there ----

    @property
    def incomplete(self) -> bool:
        """Whether a log that is nowhere may be in a folder that can't be seen."""
        return bool(self._dirs.failed or self.lost)

    async def _note_directories(self, keys: set[Key], node_id: int, store: Store) -> None:
        """Remember the folders in the metadata, and forget those from which nothing is missing."""
        name = f"log-dirs/{node_id}"
        entry = (await store.read(name)).entries.get(name)
        known: dict[str, str] = json.loads(entry.value) if entry is not None else {}
        present = {item.directory_id: str(item.path.absolute()) for item in self._dirs.online}
        failed = {str(path) for path in self._dirs.failed}
        gone = {
            directory: path
            for directory, path in known.items()
            if directory not in present and path not in failed
        }
        if keys <= self._homes.keys():
            gone = {}
        self.lost = gone
        for path in gone.values():
            _log.error("data folder missing or empty; what it held is offline: %s", path)
        kept = {directory: path for directory, path in known.items() if path in failed}
        now = kept | gone | present
        if now != known:
            modified = entry.modified if entry is not None else 0
            await store.commit([Write(name, json.dumps(now).encode(), modified)])

    # ---- homes ----

    def folder_of(self, key: Key) -> DataFolder | None:
        """Where a log is; None when it is nowhere."""
        return self._homes.get(key)

    def logs_of(self, folder: DataFolder) -> list[Key]:
        """The logs in a folder."""
        return [key for key, home in self._homes.items() if home is folder]

    def all(self) -> Mapping[Key, DataFolder]:
        """The folder of each log, as it is now."""
        return dict(self._homes)

    def place(self, key: Key) -> DataFolder:
        """Choose where a new log goes: to the folder that has the fewest, as in Kafka."""
        folder = min(self._dirs.online, key=lambda item: self._counts[item])
        self.put(key, folder)
        return folder

    def put(self, key: Key, folder: DataFolder, marks: Marks | None = None) -> None:
        """A log is in a folder now."""
        self.forget(key)
        self._homes[key] = folder
        self._counts[folder] += 1
        if marks is not None:
            self._marks[key] = marks

    def forget(self, key: Key) -> None:
        """A log is nowhere any more."""
        folder = self._homes.pop(key, None)
        self._marks.pop(key, None)
        if folder is not None:
            self._counts[folder] -= 1

    # ---- checkpoints ----

    def marks_of(self, key: Key) -> Marks:
        """What the last broker wrote down of a log."""
        return self._marks.get(key, Marks())

    def _read_marks(self, folder: DataFolder) -> None:
        seal = _read_seal(folder.path)
        points = _read(seal, folder.path / RECOVERY_POINT_FILE)
        starts = _read(seal, folder.path / LOG_START_FILE)
        cleaned = _read(seal, folder.path / CLEANER_FILE, read_begun_checkpoint)
        marks = _read(seal, folder.path / HIGH_WATERMARK_FILE, read_begun_checkpoint)
        every = points, starts, cleaned, marks
        for key in self.logs_of(folder):
            self._marks[key] = Marks(*(offsets.get(key, 0) for offsets in every))
        self._noted[folder] = {*points, *starts, *cleaned, *marks}

    def has_old_marks(self, key: Key, folder: DataFolder) -> bool:
        """Whether a folder's checkpoints speak of an earlier log of this name.

        They have to be written again before there is a new one: after a kill it would be cut.
        """
        return key not in self._marks and key in self._noted.get(folder, ())

    def write_marks(self, folder: DataFolder, marks: Mapping[Key, Marks], as_of: int) -> None:
        """Replace a folder's checkpoints, from any thread; OSError leaves the old ones.

        ``as_of``: :meth:`now` when the marks were taken. Older ones never replace younger ones.
        """
        with self._writing:
            if as_of >= self._written.get(folder, 0):
                self._write_marks(folder, marks)
                self._written[folder] = as_of
                self._noted[folder] = marks.keys()

    def now(self) -> int:
        """A number that grows from call to call."""
        return next(self._clock)

    def _write_marks(self, folder: DataFolder, marks: Mapping[Key, Marks]) -> None:
        points = {key: item.recovery_point for key, item in marks.items()}
        starts = {key: item.log_start for key, item in marks.items() if item.log_start > 0}
        cleaned = {key: item.cleaned_end for key, item in marks.items() if item.cleaned_end > 0}
        high_watermarks = {key: item.high_watermark for key, item in marks.items()}
        files = {
            RECOVERY_POINT_FILE: points,
            LOG_START_FILE: starts,
            CLEANER_FILE: cleaned,
            HIGH_WATERMARK_FILE: high_watermarks,
        }
        write_checkpoints(folder.path, files)


def _read_seal(folder: Path) -> Seal:
    try:
        return read_seal(folder)
    except MalformedCheckpoint as error:
        effect = "checkpoints are trusted as they are"
        _log.error("copy of checkpoints ignored", extra={"error": str(error), "effect": effect})
        return Seal()


def _read(seal: Seal, path: Path, unknown: Reader = read_checkpoint) -> Mapping[Key, int]:
    try:
        if not seal.has_left(path):
            effect = f"what {SEAL_FILE} says holds"
            _log.error("checkpoint was changed", extra={"file": str(path), "effect": effect})
        return seal.read(path, unknown)
    except MalformedCheckpoint as error:
        _log.error("checkpoint ignored", extra={"error": str(error), "effect": _WITHOUT[path.name]})
        return {}
