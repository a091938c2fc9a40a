"""A consumer group of many members, each a connection of its own, without a client library.

    python -m benchmarks.growth.members PORT COUNT

Joins, and then rebalances again and again until the input ends.
"""

from __future__ import annotations

import asyncio
import select
import statistics
import struct
import sys
import time
from dataclasses import dataclass
from typing import TypeVar

from pylog.protocol.api_keys import decode_response, encode_request
from pylog.protocol.message import Message
from pylog.protocol.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from pylog.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pylog.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from pylog.protocol.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

FIND, JOIN, HEARTBEAT, SYNC = (10, 1), (11, 5), (12, 3), (14, 3)  # key and version
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27
# COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: found, not ready yet
NOT_READY = (14, 15, 16)
Response = TypeVar("Response", bound=Message)


@dataclass
class Member:
    """One member; `join` returns when its generation has an assignment for it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    group: str
    member_id: str = ""
    generation: int = -1

    async def ask(self, api: tuple[int, int], request: Message, kind: type[Response]) -> Response:
        key, version = api
        payload = encode_request(key, version, 1, "growth", request)
        self.writer.write(struct.pack(">i", len(payload)) + payload)
        (length,) = struct.unpack(">i", await self.reader.readexactly(4))
        _, response = decode_response(key, version, await self.reader.readexactly(length))
        assert isinstance(response, kind)
        return response

    async def join(self) -> None:
        while True:
            request = JoinGroupRequest(
                group_id=self.group,
                session_timeout_ms=60_000,
                rebalance_timeout_ms=120_000,
                member_id=self.member_id,
                protocol_type="consumer",
                protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
            )
            joined = await self.ask(JOIN, request, JoinGroupResponse)
            if joined.error_code in NOT_READY:
                continue
            self.member_id = joined.member_id
            if joined.error_code != MEMBER_ID_REQUIRED:
                break
        assert joined.error_code == 0, joined
        self.generation = joined.generation_id
        assignments = [
            SyncGroupRequestAssignment(member_id=member.member_id, assignment=b"a")
            for member in joined.members
        ]
        await self._sync(assignments)

    async def _sync(self, assignments: list[SyncGroupRequestAssignment]) -> None:
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member_id,
            assignments=assignments,
        )
        synced = await self.ask(SYNC, request, SyncGroupResponse)
        if synced.error_code == REBALANCE_IN_PROGRESS:
            await self.join()
        else:
            assert synced.error_code == 0, synced

    async def heartbeat(self) -> int:
        """The error code: 0, or 27 while the group rebalances."""
        request = HeartbeatRequest(
            group_id=self.group, generation_id=self.generation, member_id=self.member_id
        )
        return (await self.ask(HEARTBEAT, request, HeartbeatResponse)).error_code


async def connect_members(port: int, group: str, count: int) -> list[Member]:
    """`count` connections that have not joined yet; the group has its coordinator."""
    members = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        members.append(Member(reader, writer, group))
    request = FindCoordinatorRequest(key=group)
    while (await members[0].ask(FIND, request, FindCoordinatorResponse)).error_code:
        pass  # the broker answers when it has looked: no need to wait here
    return members


async def rebalance(members: list[Member]) -> float:
    """All members join (again) at once; seconds until each has its assignment."""
    started = time.perf_counter()
    await asyncio.gather(*(member.join() for member in members))
    return time.perf_counter() - started


async def main() -> None:
    port, count = map(int, sys.argv[1:])
    members = await connect_members(port, "large", count)
    first = await rebalance(members)
    print("ready", flush=True)
    taken = []
    while not select.select([sys.stdin], [], [], 0)[0]:
        taken.append(await rebalance(members))
    for member in members:
        member.writer.close()
    median = statistics.median(taken)
    print(f"{len(taken)} rebalances, median {median:.2f} s; the first joins {first:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
