"""A data folder, laid out as Kafka's. The metadata store is in the first of ``log.dirs`` only.

=================================  ==============================================================
.lock                              held while a broker uses the folder, with flock(2) and, as
                                   Apache Kafka looks for it, fcntl(2)
meta.properties                    which cluster and broker the folder belongs to
.probe                             for a moment, to see whether the disk still works
.kafka_cleanshutdown               the last broker flushed every log before it ended
recovery-point-offset-checkpoint   up to where each log is known to be on the disk
log-start-offset-checkpoint        where each log starts, if above its first segment
cleaner-offset-checkpoint          up to where compaction has seen each log
replication-offset-checkpoint      the high watermark of each log
checkpoints.seal                   a copy of these four with a checksum (ours)
metadata.db, metadata.db-revision  the embedded metadata store, and how far it goes (ours)
TOPIC-PARTITION/                   a log: segments and indexes, partition.metadata
=================================  ==============================================================
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from pylog.log.checkpoint import flush_folder, replace_file
from pylog.protocol.uuids import uuid_from_text, uuid_to_text

METADATA_STORE: Final = "metadata.db"
_META: Final = "meta.properties"
_LOCK: Final = ".lock"
_PROBE: Final = ".probe"
_CLEAN: Final = ".kafka_cleanshutdown"
_PARTITION_META: Final = "partition.metadata"
_META_VERSION: Final = "1"
_PARTITION_TEXT: Final = re.compile(r"version: (?P<version>\d+)\ntopic_id: (?P<id>\S+)\n?")
_FOLDER_NAME: Final = re.compile(r"(?P<topic>[a-zA-Z0-9._-]+)-(?P<partition>\d+)")
_DELETED_NAME: Final = re.compile(r".+\.[0-9a-f]{32}-(delete|future)")


class FolderTaken(Exception):
    """Another broker holds the folder's lock."""


class WrongFolder(Exception):
    """The folder belongs to another cluster or broker."""


class FolderIdentity(NamedTuple):
    """What meta.properties says; ids are 22 characters of URL-safe base64, as in Kafka."""

    cluster_id: str
    node_id: int
    directory_id: str


def random_id() -> str:
    """A random UUID in Kafka's text form, which does not begin with a dash."""
    while True:
        text = uuid_to_text(random_uuid())
        if not text.startswith("-"):
            return text


def random_uuid() -> bytes:
    """16 random bytes with the marks of a version 4 UUID (RFC 9562)."""
    value = bytearray(os.urandom(16))
    value[6] = value[6] & 0x0F | 0x40
    value[8] = value[8] & 0x3F | 0x80
    return bytes(value)


class DataFolder:
    """An open, locked data folder. OSError from every call when the disk refuses.

    ``clean``: the broker before this one has flushed and closed every log in it.
    """

    def __init__(self, path: Path) -> None:
        """Make and lock the folder; :class:`FolderTaken` when a broker has it."""
        self.path = path
        self.clean = False
        path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise FolderTaken(f"{path} is in use by another broker") from None

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)

    def identify(self, node_id: int, cluster_id: str | None = None) -> FolderIdentity:
        """The folder's identity, given to it now when it is new; :class:`WrongFolder`."""
        known = read_identity(self.path)
        if known is None:
            known = FolderIdentity(cluster_id or random_id(), node_id, random_id())
            replace_file(self.path / _META, _meta_text(known))
        if known.node_id != node_id:
            raise WrongFolder(
                f"{self.path} belongs to node {known.node_id}; this broker's node.id is {node_id}"
            )
        self.directory_id = known.directory_id
        return known

    def take_clean_mark(self) -> bool:
        """Whether the last broker ended well. The mark is removed: this run has to earn its own."""
        self.clean = has_clean_mark(self.path)
        if self.clean:
            (self.path / _CLEAN).unlink()
            flush_folder(self.path)
        return self.clean

    def leave_clean_mark(self) -> None:
        """Say that every log is flushed and closed."""
        replace_file(self.path / _CLEAN, '{"version":0,"brokerEpoch":-1}\n')

    def probe(self) -> None:
        """Try whether the disk still takes and keeps what is written."""
        path = self.path / _PROBE
        with open(path, "wb", buffering=0) as file:
            file.write(b"pylog")
            os.fsync(file.fileno())
        path.unlink()
        flush_folder(self.path)

    def log_folder(self, topic: str, partition: int) -> str:
        """The folder of a partition's log."""
        return f"{self.path}/{topic}-{partition}"

    def log_folders(self) -> dict[tuple[str, int], Path]:
        """All folders named like a log; those that are set aside or deleted are not."""
        return log_folders_of(self.path)

    def log_names(self) -> Collection[tuple[str, int]]:
        """Topic and partition of each of :meth:`log_folders`."""
        return _log_names(self.path).keys()

    def remove_deleted(self) -> None:
        """Finish the deletions, and forget the moves, that an earlier run has begun."""
        for entry in list(os.scandir(self.path)):
            if _DELETED_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                import shutil

                shutil.rmtree(entry.path)


def set_aside(folder: Path) -> Path:
    """Rename a log that belongs to no topic, so that no topic can find it."""
    return _rename_log(folder, "stray")


def delete_log(folder: Path) -> None:
    """Delete the files of a log. It loses its name first: the next start does what we don't."""
    import shutil

    shutil.rmtree(_rename_log(folder, "delete"))


def _rename_log(folder: Path, purpose: str) -> Path:
    target = folder.with_name(f"{folder.name}.{os.urandom(16).hex()}-{purpose}")
    folder.rename(target)
    flush_folder(folder.parent)
    return target


def log_folders_of(path: Path) -> dict[tuple[str, int], Path]:
    """The folders of a data folder that are named like a log."""
    return {name: path / folder for name, folder in _log_names(path).items()}


def logs_in(folders: Iterable[Path]) -> dict[tuple[str, int], Path]:
    """The folders of the logs of a broker's data folders; WrongFolder when two have the same."""
    found: dict[tuple[str, int], Path] = {}
    for folder in folders:
        for name, path in log_folders_of(folder).items():
            twin = found.setdefault(name, path)
            if twin is not path:
                raise WrongFolder(f"{path} and {twin} are the same partition")
    return found


def _log_names(path: Path) -> dict[tuple[str, int], str]:
    """A broker may have thousands, and finds them at every start: no Path for each."""
    with os.scandir(path) as entries:
        folders = [entry.name for entry in entries if entry.is_dir()]
    named = ((_log_name(folder), folder) for folder in folders)
    return {name: folder for name, folder in named if name}


def log_name(folder: Path) -> tuple[str, int] | None:
    """Topic and partition that a folder's name stands for; None for any other name."""
    return _log_name(folder.name)


def _log_name(name: str) -> tuple[str, int] | None:
    match = _FOLDER_NAME.fullmatch(name)
    return (match["topic"], int(match["partition"])) if match else None


def is_in_use(path: Path) -> bool:
    """Whether a broker holds a data folder's lock at this moment."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def has_clean_mark(path: Path) -> bool:
    """Whether every log of a data folder was flushed and closed in order."""
    return (path / _CLEAN).exists()


def read_identity(path: Path) -> FolderIdentity | None:
    """Whose a data folder is; None when it is new. :class:`WrongFolder` when it can't be told."""
    file = path / _META
    try:
        values = _properties(file.read_text("utf-8"))
        if values["version"] != _META_VERSION:
            raise WrongFolder(f"{file} has version {values['version']}, not {_META_VERSION}")
        return FolderIdentity(values["cluster.id"], int(values["node.id"]), values["directory.id"])
    except FileNotFoundError:
        return None
    except KeyError as error:
        raise WrongFolder(f"{file} does not tell {error}") from None
    except ValueError as error:
        raise WrongFolder(f"{file} is malformed: {error}") from None


def make_log_folder(folder: str, topic_id: bytes) -> None:
    """Make the folder of a new log and note whose it is; FileExistsError."""
    os.mkdir(folder)
    text = f"version: 0\ntopic_id: {uuid_to_text(topic_id)}"
    with open(f"{folder}/{_PARTITION_META}", "wb", buffering=0) as file:
        file.write(text.encode("ascii"))


def read_topic_id(folder: Path | str) -> bytes | None:
    """The topic whose log a folder is; None when it does not say (its file was never flushed).

    :class:`WrongFolder` for a format of the future.
    """
    path = f"{folder}/{_PARTITION_META}"
    try:
        with open(path, encoding="ascii") as file:
            match = _PARTITION_TEXT.fullmatch(file.read())
        topic_id = uuid_from_text(match["id"]) if match else None
    except (FileNotFoundError, ValueError):
        return None
    if match and match["version"] != "0":
        raise WrongFolder(f"{path} has version {match['version']}, not 0")
    return topic_id


def _properties(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def _meta_text(identity: FolderIdentity) -> str:
    return (
        f"version={_META_VERSION}\ncluster.id={identity.cluster_id}\nnode.id={identity.node_id}\n"
        f"directory.id={identity.directory_id}\n"
    )
