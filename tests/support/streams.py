"""A member of a streams group that speaks bare messages."""

from __future__ import annotations

from typing import Any

from tests.support.wire import Wire

from pylog.coordinator.streams_tasks import Task, read_tasks
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    Subtopology,
    Topology,
)


class Thread:
    """One thread of an application, on a connection of its own."""

    def __init__(self, wire: Wire, group: str, *parts: Subtopology) -> None:
        self.wire = wire
        self.group = group
        self.topology = Topology(epoch=0, subtopologies=list(parts))
        self.epoch = 0
        self.tasks: frozenset[Task] = frozenset()
        self.notes: dict[int, str] = {}

    def beats(self) -> Any:
        """A heartbeat; the first one joins."""
        request = StreamsGroupHeartbeatRequest(
            group_id=self.group, member_id="thread", member_epoch=self.epoch
        )
        if self.epoch == 0:
            request.topology = self.topology
            request.process_id = "process"
            request.rebalance_timeout_ms = 60_000
            request.active_tasks = request.standby_tasks = request.warmup_tasks = []
        answer = self.wire.ask(request)
        self.notes = {note.status_code: note.status_detail for note in answer.status}
        if answer.error_code == ErrorCode.NONE:
            self.epoch = answer.member_epoch
            if answer.active_tasks is not None:
                self.tasks = read_tasks(answer.active_tasks)
        return answer

    def has_tasks(self) -> bool:
        assert self.beats().error_code == ErrorCode.NONE
        return bool(self.tasks)
