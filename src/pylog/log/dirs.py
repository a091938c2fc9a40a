"""The data folders of one broker (``log.dirs``): what they share, and which of them still work.

Each has a lock, an identity and checkpoints of its own (:mod:`pylog.log.layout`) and may be on a
disk of its own. The first also keeps the metadata: the broker can't go on without it. Any other
may fail, at the start or later; what it holds is offline then, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pylog.log.layout import (
    METADATA_STORE,
    DataFolder,
    FolderIdentity,
    WrongFolder,
    random_id,
    read_identity,
)
from pylog.log.moving import end_move, was_moved_from

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
# What an operator can do about a partition that two folders have (as Kafka advises).
_ADVICE: Final = "move away the older copy: that of the folder that failed last, or was moved from"


class LogDirs:
    """The locked data folders. ``first`` keeps the metadata; ``online`` are those that work.

    ``failed``: why the others don't, by path.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Make and lock them; FolderTaken, and OSError when the first can't be used."""
        self.paths = [path.absolute() for path in paths]
        self.online: list[DataFolder] = []
        self.failed: dict[Path, str] = {}
        self._locked: list[DataFolder] = []
        try:
            for path in paths:
                self._open(path)
        except BaseException:
            self.close()
            raise
        self.first = self.online[0]

    def _open(self, path: Path) -> None:
        try:
            folder = DataFolder(path)
        except OSError as error:
            if not self.online:
                raise
            self._note_failure(path.absolute(), error)
        else:
            self.online.append(folder)
            self._locked.append(folder)

    def close(self) -> None:
        """Give the locks back."""
        for folder in self._locked:
            folder.close()

    # ---- failures ----

    @property
    def complete(self) -> bool:
        """Whether every folder works."""
        return not self.failed

    def fail(self, folder: DataFolder, error: OSError) -> None:
        """A folder can't be used any more. Its lock is kept: the files are still ours."""
        self.online.remove(folder)
        self._note_failure(folder.path.absolute(), error)

    def _note_failure(self, path: Path, error: OSError) -> None:
        self.failed[path] = str(error)
        _log.error("data folder offline", extra={"folder": str(path), "error": str(error)})

    def each(self, action: Callable[[DataFolder], object]) -> None:
        """Do something in every folder that works. OSError when the first fails at it."""
        for folder in list(self.online):
            try:
                action(folder)
            except OSError as error:
                if folder is self.first:
                    raise
                self.fail(folder, error)

    # ---- what belongs together ----

    def identify(self, node_id: int) -> FolderIdentity:
        """The identity of the first; new folders get one of the same cluster. WrongFolder."""
        known: dict[DataFolder, FolderIdentity] = {}

        def read(folder: DataFolder) -> None:
            identity = read_identity(folder.path)
            if identity is not None:
                known[folder] = identity

        self.each(read)
        self._require_one_cluster(known)
        self._require_metadata(known)
        cluster_id = next(iter(known.values())).cluster_id if known else random_id()
        self.each(lambda folder: folder.identify(node_id, cluster_id))
        return self.first.identify(node_id, cluster_id)

    def _require_one_cluster(self, known: Mapping[DataFolder, FolderIdentity]) -> None:
        by_directory: dict[str, DataFolder] = {}
        for folder, identity in known.items():
            one, other = next(iter(known.items()))
            if identity.cluster_id != other.cluster_id:
                raise WrongFolder(
                    f"{one.path} is of cluster {other.cluster_id}, {folder.path} of cluster "
                    f"{identity.cluster_id}"
                )
            twin = by_directory.setdefault(identity.directory_id, folder)
            if twin is not folder:
                raise WrongFolder(f"{folder.path} is a copy of {twin.path}: same directory.id")

    def _require_metadata(self, known: Mapping[DataFolder, FolderIdentity]) -> None:
        """A metadata folder that was lost must not come back empty, as a cluster without topics."""
        if known and self.first not in known:
            raise WrongFolder(
                f"{self.first.path}, the first of log.dirs, keeps the metadata, but is empty, "
                "while others are not: is its disk mounted, is the order right?"
            )
        store = self.first.path / METADATA_STORE
        if known and not store.exists() and self.find_logs():
            raise WrongFolder(f"{store} is missing, but there are logs: restore it from a backup")

    def find_logs(self) -> dict[Key, DataFolder]:
        """Where each log is; WrongFolder when two folders have the same.

        A move that an earlier run has left half done is finished.
        """
        found: dict[Key, DataFolder] = {}

        def look(folder: DataFolder) -> None:
            for key in folder.log_names():
                twin = found.setdefault(key, folder)
                if twin is not folder:
                    found[key] = _moved(key, twin, folder)

        self.each(look)
        return found


def _moved(key: Key, one: DataFolder, other: DataFolder) -> DataFolder:
    """Which of two folders a log was moved to; the log in the other one is deleted."""
    for old, new in ((one, other), (other, one)):
        moved = Path(new.log_folder(*key))
        if was_moved_from(moved, old):
            end_move(moved, Path(old.log_folder(*key)))
            return new
    raise WrongFolder(f"both {one.path} and {other.path} have {key[0]}-{key[1]}; {_ADVICE}")
