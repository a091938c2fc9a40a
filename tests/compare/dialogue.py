"""A scripted client: what it asks, and what a broker answers, as lines of text to compare.

A line shows the fields of an answer that are not at their default. What differs from run to run
(ids, addresses, times) is numbered in the order in which it appears: the same value has the same
number throughout a dialogue. The order of a list counts only where Kafka's does. Texts for people
(error messages, documentation) are left out: each broker has its own words.
"""

from __future__ import annotations

import time
from typing import Any

from tests.support.raw_client import RawClient

from pylog.protocol.api_keys import API_KEYS, request_class
from pylog.protocol.error_codes import ErrorCode
from pylog.protocol.message import Struct

KEYS = {api.name: key for key, api in API_KEYS.items()}
CHANGES = ("Create", "Delete", "Alter", "Incremental", "Update")
CLOSED = "closed the connection"
PATIENCE_S = 5.0
RETRY_S = 0.1
UNREADY = tuple(
    f"error_code={code.value}" + end
    for code in (
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.CONCURRENT_TRANSACTIONS,
    )
    for end in ",)"
)
IGNORED = frozenset(
    {"throttle_time_ms", "error_message", "documentation", "log_append_time_ms"}
    | {"acknowledge_error_message"}
)
IGNORED_PREFIXES = ("batch_index_error",)
NUMBERED = {
    "topic_id": "topic",
    "producer_id": "producer",
    "member_id": "member",
    "leader": "member",
    "client_instance_id": "client",
    "cluster_id": "cluster",
    "host": "host",
    "port": "port",
    "log_dir": "folder",
    "replica_directory_id": "folder id",
}
TIMES = frozenset(
    {"last_timestamp", "transaction_start_time_ms", "subscription_id", "total_bytes"}
    | {"usable_bytes", "finalized_features_epoch", "acquisition_lock_timeout_ms"}
    | {"member_epoch", "group_epoch", "assignment_epoch"}
)


class Dialogue:
    """Several named connections to one broker. ``lines`` holds what it has answered, by title.

    ``pause_s`` passes after each change: Kafka's own brokers learn of it only after the answer.
    """

    def __init__(self, address: str, pause_s: float = 0.0) -> None:
        self._address = address
        self._pause_s = pause_s
        self._connections: dict[str, RawClient] = {}
        self._numbers: dict[tuple[str, Any], int] = {}
        self.lines: dict[str, str] = {}

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def ask(
        self,
        title: str,
        api: str,
        version: int,
        by: str = "",
        hidden: tuple[str, ...] = (),
        **fields: Any,
    ) -> Any:
        """Send a request and note the answer under its title; returns the answer.

        Structs are given as dictionaries. ``by`` names the connection, which is also the client
        id; ``hidden`` are fields not to note. None when the broker closes the connection instead.
        """
        answer = self._ask_until_ready(api, version, by, fields)
        assert title not in self.lines, title
        self._hidden = IGNORED.union(hidden)
        self.lines[title] = CLOSED if answer is None else self._shown(answer)
        return answer

    def _ask_until_ready(self, api: str, version: int, by: str, fields: dict[str, Any]) -> Any:
        """Asks again, as clients do, while a coordinator is being made or finishes something."""
        for _ in range(round(PATIENCE_S / RETRY_S)):
            answer = self.try_to_ask(api, version, by, **fields)
            if not any(code in repr(answer) for code in UNREADY):
                break
            time.sleep(RETRY_S)
        return answer

    def try_to_ask(self, api: str, version: int, by: str = "", **fields: Any) -> Any:
        """The same, without a note."""
        request = build(request_class(KEYS[api]), fields)
        if by not in self._connections:
            self._connections[by] = RawClient(self._address, by or "client", PATIENCE_S)
        try:
            answer = self._connections[by].call(request, version)
        except (ConnectionError, TimeoutError):
            self._connections.pop(by).close()
            answer = None
        if api.startswith(CHANGES):
            time.sleep(self._pause_s)
        return answer

    def _shown(self, message: Struct) -> str:
        parts = []
        for row in message.FIELDS:
            name, default = row[0], row[6]
            value = getattr(message, name)
            if (
                name in self._hidden
                or name.startswith(IGNORED_PREFIXES)
                or _is_default(value, default)
            ):
                continue
            parts.append(f"{name}={self._text(name, value)}")
        return " ".join(parts) or "-"

    def _text(self, name: str, value: Any) -> str:
        if isinstance(value, list):
            items = [self._text(name, item) for item in value]
            return f"[{', '.join(sorted(items))}]"
        if isinstance(value, Struct):
            return f"({self._shown(value)})"
        if name.endswith("error_code"):
            return ErrorCode(value).name
        if name in TIMES and value not in (0, -1, -2):
            return "*"
        if name in NUMBERED and value not in ("", -1, None, bytes(16)):
            kind = NUMBERED[name]
            number = self._numbers.setdefault((kind, value), self._next_number(kind))
            return f"{kind}-{number}"
        return value.hex() if isinstance(value, bytes) else str(value)

    def _next_number(self, kind: str) -> int:
        return 1 + sum(1 for other, _ in self._numbers if other == kind)


def _is_default(value: Any, default: Any) -> bool:
    return value == default or (default == () and value == [])


def build(cls: type[Struct], fields: dict[str, Any]) -> Any:
    """A struct from keyword arguments in which structs are dictionaries."""
    inner = {row[0]: row[7] for row in cls.FIELDS}

    def value_of(name: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [value_of(name, item) for item in value]
        return build(inner[name], value) if isinstance(value, dict) else value

    return cls(**{name: value_of(name, value) for name, value in fields.items()})
