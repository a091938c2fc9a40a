"""Share sessions (KIP-932): which partitions a member fetches from, so that it says so once.

    (none) ──epoch 0──▶ open, epoch 1 ──epoch n──▶ open, epoch n + 1 ──epoch -1──▶ (none)

A session belongs to a member of a group and to the connection that it was opened on, and ends with
either. What the member holds then is released.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pylog.protocol.errors import ApiError, ErrorCode

INITIAL_EPOCH: Final = 0
FINAL_EPOCH: Final = -1
_LAST_EPOCH: Final = 2**31 - 1

TopicPartition = tuple[bytes, int]  # topic id, index


@dataclass(slots=True)
class ShareSession:
    """``epoch``: of the next request. ``partitions``: in the order in which they are served."""

    group_id: str
    member_id: str
    connection: int
    epoch: int = INITIAL_EPOCH + 1
    closed: bool = False
    partitions: dict[TopicPartition, None] = field(default_factory=dict)

    def update(self, added: Iterable[TopicPartition], forgotten: Iterable[TopicPartition]) -> None:
        for partition in added:
            self.partitions.setdefault(partition)
        for partition in forgotten:
            self.partitions.pop(partition, None)

    def serve_last(self, served: Iterable[TopicPartition]) -> None:
        """Who was served goes to the end, so that no partition starves."""
        for partition in served:
            if partition in self.partitions:
                del self.partitions[partition]
                self.partitions[partition] = None


class ShareSessions:
    """The sessions of one broker."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_member: dict[tuple[str, str], ShareSession] = {}
        self._by_connection: dict[int, set[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._by_member)

    def open(self, group_id: str, member_id: str, connection: int) -> ShareSession:
        """A new session, in place of the member's last one."""
        key = group_id, member_id
        if key not in self._by_member and len(self._by_member) >= self._limit:
            raise ApiError(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
        if key in self._by_member:
            self.close(self._by_member[key])
        session = ShareSession(group_id, member_id, connection)
        self._by_member[key] = session
        self._by_connection.setdefault(connection, set()).add(key)
        return session

    def use(self, group_id: str, member_id: str, epoch: int) -> ShareSession:
        """The session of a request that goes on with one, or ends it."""
        session = self._by_member.get((group_id, member_id))
        if session is None:
            raise ApiError(ErrorCode.SHARE_SESSION_NOT_FOUND)
        if epoch != FINAL_EPOCH:
            if epoch != session.epoch:
                raise ApiError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
            session.epoch = 1 if epoch == _LAST_EPOCH else epoch + 1
        return session

    def close(self, session: ShareSession) -> None:
        key = session.group_id, session.member_id
        session.closed = True
        if self._by_member.get(key) is session:
            del self._by_member[key]
            of_connection = self._by_connection[session.connection]
            of_connection.discard(key)
            if not of_connection:
                del self._by_connection[session.connection]

    def close_connection(self, connection: int) -> list[ShareSession]:
        """The sessions that have ended with their connection."""
        keys = self._by_connection.get(connection, set())
        ended = [self._by_member[key] for key in keys]
        for session in ended:
            self.close(session)
        return ended
