"""Threads of a streams application (KIP-1071) who talk to a :class:`World`."""

from __future__ import annotations

from collections.abc import Iterable

from tests.sim.world import Waiting, World

from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_streams import StreamsSettings
from pylog.coordinator.streams_state import StreamsGroup
from pylog.coordinator.streams_tasks import Task, Tasks, by_subtopology, read_tasks
from pylog.coordinator.topics_view import TopicInfo, TopicsView
from pylog.protocol.messages.streams_group_heartbeat import (
    CopartitionGroup,
    KeyValue,
    RequestEndpoint,
    RequestTaskIds,
    StreamsGroupHeartbeatRequest,
    Subtopology,
    Topology,
)
from pylog.protocol.messages.streams_group_heartbeat import (
    TopicInfo as TopicMessage,
)

GROUP = "word-count"
AT_ONCE = StreamsSettings(initial_rebalance_delay_ms=0, assignment_interval_ms=0)
WITH_STANDBY = StreamsSettings(
    initial_rebalance_delay_ms=0, assignment_interval_ms=0, standby_replicas=1
)


def internal(name: str, partitions: int = 0, **configs: str) -> TopicMessage:
    pairs = [KeyValue(key=key, value=value) for key, value in configs.items()]
    return TopicMessage(name=name, partitions=partitions, topic_configs=pairs)


def subtopology(
    name: str,
    *sources: str,
    sinks: Iterable[str] = (),
    repartitions: Iterable[TopicMessage] = (),
    changelogs: Iterable[TopicMessage] = (),
    together: tuple[list[int], list[int]] | None = None,
) -> Subtopology:
    """``together``: indexes of the sources, and of the repartition topics, of one group."""
    groups = []
    if together is not None:
        groups = [
            CopartitionGroup(source_topics=together[0], repartition_source_topics=together[1])
        ]
    return Subtopology(
        subtopology_id=name,
        source_topics=list(sources),
        repartition_sink_topics=list(sinks),
        repartition_source_topics=list(repartitions),
        state_changelog_topics=list(changelogs),
        copartition_groups=groups,
    )


def stateless(epoch: int = 0) -> Topology:
    """Reads ``lines`` and keeps nothing."""
    return Topology(epoch=epoch, subtopologies=[subtopology("0", "lines")])


def stateful(epoch: int = 0) -> Topology:
    """Reads ``lines`` and keeps counts."""
    parts = [subtopology("0", "lines", changelogs=[internal("counts")])]
    return Topology(epoch=epoch, subtopologies=parts)


class StreamsWorld(World[GroupShard]):
    """``topics`` may be changed by the test: name to number of partitions."""

    def __init__(self, settings: StreamsSettings = AT_ONCE, **topics: int) -> None:
        self.settings = settings
        self.view = TopicsView()
        self.set_topics(**topics)
        around = Surroundings(
            topics=lambda: self.view, streams_settings=lambda group_id: self.settings
        )
        super().__init__(lambda: GroupShard(around))

    def set_topics(self, **topics: int) -> None:
        infos = (
            (name, TopicInfo(name.encode().ljust(16, b"."), count))
            for name, count in topics.items()
        )
        self.view = TopicsView.of(self.view.revision + 1, infos)

    @property
    def group(self) -> StreamsGroup:
        group = self.shard.groups[GROUP]
        assert isinstance(group, StreamsGroup)
        return group


class Thread:
    """A client of the group: it gives up and takes tasks as it is told."""

    def __init__(
        self,
        world: StreamsWorld,
        name: str,
        *,
        process: str | None = None,
        topology: Topology | None = None,
        instance: str | None = None,
        endpoint: tuple[str, int] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.process = process or f"process of {name}"
        self.topology = topology or stateless()
        self.instance = instance
        self.endpoint = endpoint
        self.tags = tags or {}
        self.epoch = 0
        self.endpoint_epoch = -1
        self.owned = Tasks()
        self.assigned = Tasks()
        self.notes: list[int] = []

    @property
    def active(self) -> set[Task]:
        return set(self.assigned.active)

    @property
    def standby(self) -> set[Task]:
        return set(self.assigned.standby)

    def asks(self, **fields: object) -> Waiting:
        """A heartbeat of just these fields, and who it is."""
        request = StreamsGroupHeartbeatRequest(
            group_id=GROUP,
            member_id=self.name,
            member_epoch=self.epoch,
            endpoint_information_epoch=self.endpoint_epoch,
            instance_id=self.instance,
        )
        for field, value in fields.items():
            setattr(request, field, value)
        client = Client(self.name, "/10.0.0.1", 1)
        return self.world.ask(
            lambda shard, p, now: shard.streams_heartbeat(request, client, p, now)
        )

    def asks_to_join(self) -> Waiting:
        self.epoch = 0
        fields: dict[str, object] = {}
        if self.endpoint is not None:
            host, port = self.endpoint
            fields["user_endpoint"] = RequestEndpoint(host=host, port=port)
        return self.asks(
            rebalance_timeout_ms=60_000,
            topology=self.topology,
            process_id=self.process,
            client_tags=[KeyValue(key=k, value=v) for k, v in self.tags.items()],
            active_tasks=[],
            standby_tasks=[],
            warmup_tasks=[],
            **fields,
        )

    def joins(self) -> Thread:
        self.owned = self.assigned = Tasks()
        self.hears(self.asks_to_join())
        return self

    def beats(self, **fields: object) -> Waiting:
        """Report what it owns, hear, and take what is assigned; revocation takes no time."""
        self.owned = self.assigned
        waiting = self.asks(**self.owned_fields(), **fields)
        self.hears(waiting)
        return waiting

    def owned_fields(self) -> dict[str, object]:
        return {
            "active_tasks": _ids(self.owned.active),
            "standby_tasks": _ids(self.owned.standby),
            "warmup_tasks": _ids(self.owned.warmup),
        }

    def hears(self, waiting: Waiting) -> None:
        answer = waiting.heard().response
        self.epoch = answer.member_epoch
        self.endpoint_epoch = answer.endpoint_information_epoch
        self.notes = [note.status_code for note in answer.status]
        if answer.active_tasks is not None:
            self.assigned = Tasks(
                read_tasks(answer.active_tasks),
                read_tasks(answer.standby_tasks),
                read_tasks(answer.warmup_tasks),
            )

    def leaves(self, epoch: int = -1, **fields: object) -> Waiting:
        self.epoch = epoch
        self.owned = self.assigned = Tasks()
        return self.asks(**fields)


def _ids(tasks: Iterable[Task]) -> list[RequestTaskIds]:
    return [
        RequestTaskIds(subtopology_id=name, partitions=partitions)
        for name, partitions in by_subtopology(tasks).items()
    ]


def settle(*threads: Thread) -> None:
    """Heartbeats until nothing changes any more."""
    for _ in range(2 * len(threads) + 4):
        for thread in threads:
            thread.beats()


def tasks(*numbers: int, of: str = "0") -> set[Task]:
    return {(of, number) for number in numbers}
