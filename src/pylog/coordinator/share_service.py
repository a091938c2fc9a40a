"""Share groups on one broker: what the handlers of their API keys talk to (KIP-932).

Brings together the group shards (members), the state shards (what is done), the leaders of share
partitions (what is in flight) and the sessions (who fetches what).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pylog.config import Source
from pylog.coordinator.dead_letters import DeadLetterQueue, DeadLetterWriter
from pylog.coordinator.group import GroupShard
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_share import Beat, ShareSettings
from pylog.coordinator.shards import Shards
from pylog.coordinator.share_group_state import SharedTopic, ShareGroup
from pylog.coordinator.share_leader import Found, ShareConfig, ShareLeader, Taken
from pylog.coordinator.share_partition import Limits, Wish
from pylog.coordinator.share_sessions import ShareSession, ShareSessions, TopicPartition
from pylog.coordinator.share_state import SharePartitionKey, ShareStateShard
from pylog.options import GROUP
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

if TYPE_CHECKING:
    from pylog.cluster.image import Image
    from pylog.server.broker import Broker

_HAS_DEAD_LETTERS = 2  # share.version

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchWish:
    """What a ShareFetch asks of all its partitions together."""

    wish: Wish
    max_wait_ms: int
    min_bytes: int
    max_bytes: int


@dataclass(slots=True)
class Fetched:
    """Of one partition: an error, records, or neither."""

    error: ApiError | None = None
    taken: Taken | None = None


class ShareGroupService:
    """Lives from the start of the coordinators to their stop."""

    def __init__(
        self, broker: Broker, groups: Shards[GroupShard], states: Shards[ShareStateShard]
    ) -> None:
        self._broker = broker
        self._groups = groups
        self.states = states
        self.sessions = ShareSessions(broker.config.integer("group.share.max.share.sessions"))
        self._dead_letters = DeadLetterWriter(broker)
        self._leaders: dict[SharePartitionKey, ShareLeader] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Event] = set()  # of all fetches
        self._configs: dict[str, ShareConfig] = {}  # by group, as of the image that was seen
        self._seen: Image | None = None
        self._stopping = asyncio.Event()

    # ---- settings ----

    def _value(self, group_id: str, name: str) -> object:
        overrides = self._broker.metadata.image.config("group", group_id)
        return self._broker.config.resource_value(GROUP[name], overrides, Source.GROUP)

    def _number(self, group_id: str, name: str) -> int:
        return cast(int, self._value(group_id, name))

    def settings(self, group_id: str) -> ShareSettings:
        """What holds for the members of a group."""
        return ShareSettings(
            self._number(group_id, "share.heartbeat.interval.ms"),
            self._number(group_id, "share.session.timeout.ms"),
            self._number(group_id, "share.assignment.interval.ms"),
            self._broker.config.integer("group.share.max.size"),
        )

    def config(self, group_id: str) -> ShareConfig:
        """What holds for the partitions of a group."""
        image = self._broker.metadata.image
        if image is not self._seen:
            self._seen = image
            self._configs.clear()
        found = self._configs.get(group_id)
        if found is None:
            found = self._configs[group_id] = self._read_config(group_id)
        return found

    def _read_config(self, group_id: str) -> ShareConfig:
        queue = self._dead_letter_queue(group_id)
        limits = Limits(
            self._number(group_id, "share.delivery.count.limit"),
            self._number(group_id, "share.partition.max.record.locks"),
            self._number(group_id, "share.record.lock.duration.ms"),
            queue is not None,
        )
        return ShareConfig(
            limits,
            str(self._value(group_id, "share.auto.offset.reset")),
            self._value(group_id, "share.isolation.level") == "read_committed",
            bool(self._value(group_id, "share.renew.acknowledge.enable")),
            queue,
        )

    def _dead_letter_queue(self, group_id: str) -> DeadLetterQueue | None:
        if self._broker.metadata.image.features.get("share.version", 0) < _HAS_DEAD_LETTERS:
            return None
        topic = str(self._value(group_id, "errors.deadletterqueue.topic.name"))
        copies = bool(self._value(group_id, "errors.deadletterqueue.copy.record.enable"))
        return DeadLetterQueue(topic, copies) if topic else None

    # ---- members ----

    async def heartbeat(self, request: ShareGroupHeartbeatRequest, client: Client) -> Beat:
        """A heartbeat; where partitions have to be initialized, that and another one."""
        beat = await self._beat(request, client)
        if not beat.uninitialized:
            return beat
        try:
            await self._initialize(request.group_id, beat.uninitialized, beat.state_epoch)
        except ApiError as error:  # the next heartbeat tries again
            _log.warning("share state of group %s not initialized: %s", request.group_id, error)
            return beat
        request.member_epoch = beat.response.member_epoch
        return await self._beat(request, client)

    async def _beat(self, request: ShareGroupHeartbeatRequest, client: Client) -> Beat:
        beat = await self._groups.run(
            request.group_id,
            lambda shard, promise, now: shard.share_heartbeat(request, client, promise, now),
        )
        assert isinstance(beat, Beat)
        return beat

    async def _initialize(
        self, group_id: str, missing: Mapping[bytes, SharedTopic], state_epoch: int
    ) -> None:
        await asyncio.gather(
            *(
                self._begin(SharePartitionKey(group_id, topic_id, index), state_epoch)
                for topic_id, topic in missing.items()
                for index in topic.partitions
            )
        )
        await self.note_initialized(group_id, missing)

    async def note_initialized(
        self, group_id: str, partitions: Mapping[bytes, SharedTopic]
    ) -> None:
        """The share state of these exists: the group may read them."""
        await self._groups.run(
            group_id,
            lambda shard, promise, _: shard.share_initialized(group_id, partitions, promise),
        )

    async def forget_topics(self, group_id: str, topic_ids: Sequence[bytes]) -> None:
        """The share state of these is gone."""
        await self._groups.run(
            group_id,
            lambda shard, promise, _: shard.forget_shared_topics(group_id, topic_ids, promise),
        )

    def empty_group(self, group_id: str, may_be_new: bool = False) -> ShareGroup:
        """A share group without members, or ApiError."""
        if not group_id:
            raise ApiError(ErrorCode.INVALID_GROUP_ID)
        host = self._groups.host_of(group_id)
        if may_be_new and host.look(lambda shard: group_id not in shard.groups):
            return ShareGroup(group_id)
        group: ShareGroup = host.look(lambda shard: shard.share_group(group_id))
        if not group.is_empty():
            raise ApiError(ErrorCode.NON_EMPTY_GROUP)
        return group

    async def forget_states(self, group_id: str) -> None:
        """Before a group is deleted: an empty share group forgets what it has read."""
        try:
            group = self.empty_group(group_id)
        except ApiError:
            return
        await self.delete_states(
            SharePartitionKey(group_id, topic_id, index)
            for topic_id, shared in group.share_partitions().items()
            for index in shared.partitions
        )

    async def _begin(self, key: SharePartitionKey, state_epoch: int) -> None:
        """Make sure that there is state; two members may ask for it at one time."""
        text = key.text()
        await self.states.prepare(text)
        await self.states.run(
            text, lambda shard, promise, now: shard.begin(key, state_epoch, promise, now)
        )

    async def begin_anew(self, key: SharePartitionKey, state_epoch: int, start_offset: int) -> None:
        """Initialize the state of a share partition, and forget what was in flight."""
        text = key.text()
        await self.states.prepare(text)
        await self.states.run(
            text,
            lambda shard, promise, now: shard.initialize(
                key, state_epoch, start_offset, promise, now
            ),
        )
        self._drop(key)

    async def delete_states(self, keys: Iterable[SharePartitionKey]) -> None:
        """Forget share partitions for good."""

        async def delete(key: SharePartitionKey) -> None:
            await self.states.prepare(key.text())
            await self.states.run(key.text(), lambda shard, promise, _: shard.delete(key, promise))
            self._drop(key)

        await asyncio.gather(*(delete(key) for key in keys))

    def _drop(self, key: SharePartitionKey) -> None:
        leader = self._leaders.get(key)
        if leader is not None:
            leader.close()

    # ---- partitions ----

    def leader(self, group_id: str, partition: TopicPartition) -> ShareLeader:
        """Where a share partition is worked on; ApiError when that is not here."""
        topic_id, index = partition
        topic = self._broker.metadata.image.topic_by_id(topic_id)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID)
        if not 0 <= index < len(topic.partitions):
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        log = self._broker.partitions.get(topic.name, index)
        state = topic.partitions[index]
        if log is None or state.leader != self._broker.node_id:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        key = SharePartitionKey(group_id, topic_id, index)
        leader = self._leaders.get(key)
        if leader is not None and (leader.partition, leader.leader_epoch) != (
            log,
            state.leader_epoch,
        ):
            leader.close()
            leader = None
        if leader is None:
            leader = ShareLeader(
                key,
                log,
                state.leader_epoch,
                self.states,
                self._dead_letters,
                lambda: self.config(group_id),
                self._forget,
            )
            self._leaders[key] = leader
        return leader

    def _forget(self, leader: ShareLeader) -> None:
        if self._leaders.get(leader.key) is leader:
            del self._leaders[leader.key]

    # ---- fetching ----

    async def fetch(self, session: ShareSession, asked: FetchWish) -> dict[TopicPartition, Fetched]:
        """Records of the session's partitions, as soon as there are enough or time is over."""
        results: dict[TopicPartition, Fetched] = {}
        leaders: dict[TopicPartition, ShareLeader] = {}
        for partition in session.partitions:
            try:
                leaders[partition] = self.leader(session.group_id, partition)
            except ApiError as error:
                results[partition] = Fetched(error)
        moved = asyncio.Event()
        self._waiting.add(moved)
        try:
            fetch = _Fetch(session, leaders, asked, moved, self._stopping)
            results |= await fetch.run(may_wait=not results)
        finally:
            self._waiting.discard(moved)
        session.serve_last(p for p, fetched in results.items() if fetched.taken is not None)
        return results

    # ---- sessions ----

    async def release(self, session: ShareSession) -> None:
        """The session is over: others may have what its member holds. ApiError."""
        self.sessions.close(session)
        await self._release(session, list(session.partitions))

    async def _release(self, session: ShareSession, partitions: Sequence[TopicPartition]) -> None:
        leaders = (
            self._leaders.get(SharePartitionKey(session.group_id, *partition))
            for partition in partitions
        )
        await asyncio.gather(
            *(leader.release(session.member_id) for leader in leaders if leader is not None)
        )

    def on_connection_closed(self, connection: int) -> None:
        """Members that have gone without a word keep nothing."""
        for session in self.sessions.close_connection(connection):
            task = asyncio.create_task(self._release_quietly(session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _release_quietly(self, session: ShareSession) -> None:
        try:
            await self._release(session, list(session.partitions))
        except ApiError as error:
            _log.warning("records of member %s not released: %s", session.member_id, error)

    async def stop(self) -> None:
        """Answer what waits, and let go of all share partitions."""
        self._stopping.set()
        for event in self._waiting:
            event.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for leader in list(self._leaders.values()):
            leader.close()


class _Fetch:
    """One ShareFetch: looks, and looks again when one of its partitions has moved."""

    def __init__(
        self,
        session: ShareSession,
        leaders: Mapping[TopicPartition, ShareLeader],
        asked: FetchWish,
        moved: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        self._session = session
        self._leaders = dict(leaders)
        self._asked = asked
        self._stopping = stopping
        self._moved = moved
        self._results = {partition: Fetched() for partition in leaders}
        self._empty: set[ShareLeader] = set()  # that had nothing at the last look

    async def run(self, may_wait: bool) -> dict[TopicPartition, Fetched]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._asked.max_wait_ms / 1000 if may_wait else 0)
        for leader in self._leaders.values():
            leader.waiters.add(self._moved)
        try:
            while True:
                self._moved.clear()
                late = loop.time() >= deadline or self._stopping.is_set()
                if await self._look(late) or late:
                    return self._results
                self._wake_others()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._moved.wait()
        finally:
            for leader in self._leaders.values():
                leader.waiters.remove(self._moved)
            self._wake_others()

    def _wake_others(self) -> None:
        """Where there may be something left."""
        for leader in self._leaders.values():
            if leader not in self._empty:
                leader.waiters.wake_next()

    async def _look(self, take_any: bool) -> bool:
        """Whether the answer is worth to be sent."""
        found = await self._find()
        failed = any(result.error is not None for result in self._results.values())
        enough = sum(seen.size_bytes for _, seen in found) >= max(self._asked.min_bytes, 1)
        if self._session.closed:
            return True  # nobody would hear of what is taken
        if not (enough or take_any or failed):
            for partition, seen in found:
                self._leaders[partition].watch_behind(seen)
            return False
        return self._take(found) or failed

    async def _find(self) -> list[tuple[TopicPartition, Found]]:
        found: list[tuple[TopicPartition, Found]] = []
        records_left, bytes_left = self._asked.wish.max_records, self._asked.max_bytes
        self._empty.clear()
        for partition, leader in self._leaders.items():
            if records_left <= 0 or bytes_left <= 0:
                break
            try:
                seen = await leader.find(records_left, bytes_left)
            except ApiError as error:
                self._results[partition].error = error
                continue
            if seen is None:
                self._empty.add(leader)
                continue
            if found and seen.size_bytes > bytes_left:
                break  # it is served first next time
            found.append((partition, seen))
            records_left -= _records_in(seen)
            bytes_left -= seen.size_bytes
        return found

    def _take(self, found: Sequence[tuple[TopicPartition, Found]]) -> bool:
        records_left = self._asked.wish.max_records
        taken_any = False
        for partition, seen in found:
            wish = self._asked.wish
            wish = Wish(wish.member_id, records_left, wish.batch_size, wish.strict)
            try:
                taken = self._leaders[partition].take(wish, seen)
            except ApiError as error:
                self._results[partition].error = error
                continue
            if taken is not None:
                self._results[partition].taken = taken
                records_left -= sum(a.last_offset - a.first_offset + 1 for a in taken.acquired)
                taken_any = True
        if not taken_any and found:
            self._moved.set()  # others were faster: look for what they have left
        return taken_any


def _records_in(found: Found) -> int:
    return sum(
        batch.last_offset - max(batch.first_offset, found.offset) + 1
        for batch in found.survey.batches
        if batch.deliverable
    )
