"""What every type of group has: the face that offsets, admin requests and the shard rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pylog.coordinator.effects import Effects
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.coordinator.offsets import OffsetToCommit

DAY_MS = 24 * 60 * 60 * 1000
_COMMIT_WITH_MEMBER_EPOCH = 9  # OffsetCommit version


class GroupType(Enum):
    """Kafka's names of the group types, as ListGroups shows them."""

    CLASSIC = "classic"
    CONSUMER = "consumer"
    SHARE = "share"
    STREAMS = "streams"


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Broker settings that coordinators of groups obey; the names are Kafka's, units last."""

    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    initial_rebalance_delay_ms: int = 3_000
    new_member_join_timeout_ms: int = 300_000
    max_size: int = 2**31 - 1
    offset_metadata_max_bytes: int = 4096
    offsets_retention_ms: int = 7 * DAY_MS
    offsets_retention_check_interval_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends a request; ``version`` is that of the request's API."""

    client_id: str
    host: str  # as Kafka shows it: "/127.0.0.1"
    version: int


@dataclass(frozen=True, slots=True)
class Committer:
    """The member, as an offset request names it; generation or member epoch -1 for none."""

    member_id: str
    instance_id: str | None
    epoch: int
    version: int
    transactional: bool = False


class Group(ABC):
    """One group in a shard's dictionary."""

    type: GroupType
    has_offsets = True  # it lives as long as its committed offsets, when it has no members

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id

    @property
    @abstractmethod
    def protocol_type(self) -> str | None: ...

    @abstractmethod
    def state_name(self) -> str:
        """The state's name, as Kafka's tools show it."""

    @abstractmethod
    def is_empty(self) -> bool: ...

    @abstractmethod
    def check_commit(self, committer: Committer, offsets: Sequence[OffsetToCommit] = ()) -> None:
        """Raise ApiError unless this member may commit these offsets now."""

    @abstractmethod
    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        """Raise ApiError unless this member (None and -1: anybody) may fetch offsets."""

    @abstractmethod
    def check_offset_delete(self) -> None:
        """Raise ApiError unless offsets of this group may be deleted."""

    @abstractmethod
    def is_subscribed(self, topic: str) -> bool: ...

    @abstractmethod
    def offsets_idle_since_ms(self, commit_timestamp_ms: int) -> int | None:
        """Since when an offset committed then is not in use (KIP-211); None: in use."""

    @abstractmethod
    def write_tombstones(self, out: Effects) -> None:
        """Remove the group from the log."""


class _HasEpoch(Protocol):
    @property
    def epoch(self) -> int: ...


_Member = TypeVar("_Member", bound=_HasEpoch)


class EpochGroup(Group, Generic[_Member]):
    """A group whose members are fenced by their epochs (KIP-848, KIP-1071)."""

    members: dict[str, _Member]
    static_members: dict[str, str]  # instance id → member id

    def is_empty(self) -> bool:
        return not self.members

    def member(self, member_id: str) -> _Member:
        """The member of this name; ApiError when there is none."""
        found = self.members.get(member_id)
        if found is None:
            raise ApiError(
                ErrorCode.UNKNOWN_MEMBER_ID,
                f"Member {member_id} is not a member of group {self.group_id}.",
            )
        return found

    def static_member(self, instance_id: str) -> _Member | None:
        """Who has this instance id now."""
        member_id = self.static_members.get(instance_id)
        return None if member_id is None else self.members[member_id]

    def check_commit(self, committer: Committer, offsets: Sequence[OffsetToCommit] = ()) -> None:
        """An older epoch may commit what the member has had ever since (KIP-1251)."""
        if committer.epoch < 0 and not self.members:
            return
        unnamed = committer.member_id == "" and committer.instance_id is None
        if committer.transactional and unnamed and committer.epoch == -1:
            return
        member = self.member(committer.member_id)
        knows_epochs = committer.version >= _COMMIT_WITH_MEMBER_EPOCH
        if not (knows_epochs or committer.transactional or self._speaks_classic(member)):
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION)
        if committer.epoch == member.epoch:
            return
        had = (self._has_had(member, committer.epoch, offset) for offset in offsets)
        if committer.epoch > member.epoch or not all(had):
            raise self._stale(member)

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        if member_id is None and member_epoch < 0:
            return
        member = self.member(member_id or "")
        if member.epoch != member_epoch:
            raise self._stale(member)

    def _stale(self, member: _Member) -> ApiError:
        classic = self._speaks_classic(member)
        return ApiError(ErrorCode.ILLEGAL_GENERATION if classic else ErrorCode.STALE_MEMBER_EPOCH)

    @abstractmethod
    def _speaks_classic(self, member: _Member) -> bool:
        """Whether it uses the classic protocol: its epoch is a generation to it."""

    @abstractmethod
    def _has_had(self, member: _Member, epoch: int, offset: OffsetToCommit) -> bool:
        """Whether it has had the partition since that epoch, one of before, or longer."""
