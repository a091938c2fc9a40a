"""The interface that all metadata goes through: a small revisioned key-value store.

Every commit raises the store's revision by one and stamps the keys it writes with it. A commit
names the revisions of the keys it was based on, and is refused when one of them has moved: that
is the only way to change anything, so any number of processes may share a store. Two
implementations are meant: SQLite in the data folder of one broker, and etcd for several.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Conflict(Exception):
    """A commit was refused: a key it was based on has changed. Read again and retry."""


class Compacted(Exception):
    """The revision asked for is no longer kept. Read the prefix again."""


class Entry(NamedTuple):
    """A value and the revisions at which its key was created and last written."""

    value: bytes
    created: int
    modified: int


class Snapshot(NamedTuple):
    """The keys under a prefix, as they were together at one revision."""

    revision: int
    entries: Mapping[str, Entry]


class Change(NamedTuple):
    """One key that a commit wrote; ``entry`` None means deleted."""

    key: str
    entry: Entry | None


class Commit(NamedTuple):
    """All changes of one revision."""

    revision: int
    changes: Sequence[Change]


class Write(NamedTuple):
    """Put (``value``) or delete (None) a key that was last seen at revision ``modified``.

    0 stands for "did not exist"; None writes whatever is there.
    """

    key: str
    value: bytes | None
    modified: int | None
    lease: int = 0  # a key with a lease goes away with it


class Condition(NamedTuple):
    """A key that must still be at this revision, though it is not written."""

    key: str
    modified: int


class Store(Protocol):
    """See the module. Calls raise OSError when the store can't be reached."""

    async def read(self, prefix: str) -> Snapshot:
        """All keys that start with ``prefix``."""
        ...

    async def commit(self, writes: Sequence[Write], conditions: Sequence[Condition] = ()) -> Commit:
        """Make all writes or none; :class:`Conflict` when a stated revision is not the stored."""
        ...

    def watch(self, prefix: str, after_revision: int) -> AsyncIterator[Commit]:
        """The commits after a revision that touch a prefix, in order, without end.

        :class:`Compacted` when they are no longer all known.
        """
        ...

    async def grant_lease(self, ttl_s: float) -> int:
        """A lease, alive as long as it is kept alive or this process lives."""
        ...

    async def keep_lease(self, lease: int) -> bool:
        """Prolong a lease; False when it has ended."""
        ...

    async def close(self) -> None:
        """Let go of the store; leases of this process end."""
        ...
