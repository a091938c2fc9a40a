"""What the agents in Python share: the command loop, handles and the polling thread of a member.

README.md in this folder describes the commands.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, cast

POLL_MS = 100
HEARTBEAT_MS = 500  # how soon a member learns of a rebalance

Json = dict[str, Any]


class Refused(Exception):
    """A client library reported an error; `code` is Kafka's, None for one of its own."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(text)
        self.code = code


def encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def record(
    partition: int,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
) -> Json:
    """A record as the answer of a command carries it."""
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encode(key),
        "value": encode(value),
        "headers": [[name, encode(data)] for name, data in headers],
    }


class Member:
    """A consumer that a thread of its own polls. Owns the consumer until `run` closes it."""

    def __init__(self, poll: Callable[[], list[Json]]) -> None:
        self._poll = poll
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._records: list[Json] = []
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], Any]) -> Any:
        """Runs `job` between two polls, on the polling thread, and returns its result."""
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        if self._failure is not None and not future.done():  # the thread may run no job any more
            raise self._failure
        return future.result()

    def state(self, assigned: Callable[[], Iterable[Any]]) -> Json:
        """The answer of `member_state`; `assigned` gives objects with a topic and a partition."""
        return cast(Json, self.run(lambda: self._take(assigned())))

    def _take(self, assigned: Iterable[Any]) -> Json:
        taken, self._records = self._records, []
        return {"assignment": [[at.topic, at.partition] for at in assigned], "records": taken}

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        try:
            while not self._stop.is_set():
                self._run_jobs()
                self._records.extend(self._poll())
        except BaseException as failure:
            self._failure = failure
            self._run_jobs()

    def _run_jobs(self) -> None:
        while not self._jobs.empty():
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as failure:
                future.set_exception(failure)


def serve(agent: Any, error_code: Callable[[BaseException], int | None]) -> None:
    """Answers commands from stdin with the methods of `agent` until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer: Json = {"result": getattr(agent, command.pop("op"))(**command)}
        except BaseException as failure:
            traceback.print_exc()
            code = failure.code if isinstance(failure, Refused) else error_code(failure)
            answer = {"error": {"code": code, "text": f"{type(failure).__name__}: {failure}"}}
        answers.write(json.dumps(answer) + "\n")
    os._exit(0)
