"""Settings that live in the cluster's metadata, and how they are altered."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from pylog.cluster.image import Image, config_key, encode, topic_key
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.store import Condition, Write
from pylog.config import BrokerConfig, ConfigError, Dynamic, Kind, Option, Table, split_list
from pylog.options import BROKER, CLIENT_METRICS, GROUP, TOPIC
from pylog.protocol.errors import ApiError, ErrorCode

Texts = Mapping[str, str]
ALL_BROKERS: Final = ""
ELIGIBLE_LEADERS: Final = "eligible.leader.replicas.version"
MIN_IN_SYNC: Final = "min.insync.replicas"


class ResourceType(enum.IntEnum):
    """What has settings, numbered as in Kafka's protocol."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class Operation(enum.IntEnum):
    """What IncrementalAlterConfigs can do to a setting (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigChange(NamedTuple):
    """One step of an incremental alteration; ``operation`` and ``value`` come from the wire."""

    name: str
    operation: int
    value: str | None


class Configs:
    """Alters settings; all brokers follow through the image."""

    def __init__(self, metadata: Metadata, config: BrokerConfig) -> None:
        self._metadata = metadata
        self._config = config

    async def replace(
        self,
        kind: int,
        name: str,
        texts: Mapping[str, str | None],
        *,
        validate_only: bool = False,
    ) -> None:
        """Give a resource exactly these settings; what is not named goes back to its default."""
        for key, text in texts.items():
            if text is None:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value for setting {key}.")
        wanted = {key: text for key, text in texts.items() if text is not None}
        await self._alter(kind, name, wanted, lambda table, now: wanted, validate_only)

    async def change(
        self, kind: int, name: str, changes: Sequence[ConfigChange], *, validate_only: bool = False
    ) -> None:
        """Alter single settings of a resource."""
        names = [change.name for change in changes]
        if len(set(names)) != len(names):
            raise ApiError(ErrorCode.INVALID_REQUEST, "A setting is named more than once.")

        def apply(table: Table, now: Texts) -> Texts:
            after = dict(now)
            for change in changes:
                self._apply(table, after, change)
            return after

        await self._alter(kind, name, names, apply, validate_only)

    def _apply(self, table: Table, texts: dict[str, str], change: ConfigChange) -> None:
        if change.operation == Operation.DELETE:
            texts.pop(change.name, None)
            return
        if change.value is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value for setting {change.name}.")
        if change.operation == Operation.SET:
            texts[change.name] = change.value
        elif change.operation in (Operation.APPEND, Operation.SUBTRACT):
            texts[change.name] = self._edit_list(table, texts, change, change.value)
        else:
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"Unknown config operation {change.operation}."
            )

    def _edit_list(self, table: Table, texts: Texts, change: ConfigChange, value: str) -> str:
        option = _option(table, change.name)
        if option.kind is not Kind.LIST:
            raise ApiError(
                ErrorCode.INVALID_CONFIG,
                f"{change.name} is no list: nothing can be appended to it or subtracted from it.",
            )
        if table is BROKER:
            now = self._config.value(option.name)
        else:
            now = self._config.resource_value(option, texts)
        items = list(now) if isinstance(now, list) else []
        given = split_list(value)
        if change.operation == Operation.APPEND:
            items += [item for item in given if item not in items]
        else:
            items = [item for item in items if item not in given]
        return ",".join(items)

    async def _alter(
        self,
        kind: int,
        name: str,
        keys: Collection[str],
        edit: Callable[[Table, Texts], Texts],
        validate_only: bool,
    ) -> None:
        table, scope = _resource(kind)

        def plan(image: Image) -> Proposal:
            condition = _check_exists(image, kind, name)
            before = image.config(scope, name)
            after = edit(table, before)
            self._check(table, name, before, after)
            if table is BROKER and image.features.get(ELIGIBLE_LEADERS):
                _check_in_common(name, keys, after)
            if validate_only or after == before:
                return Proposal([])
            key = config_key(scope, name)
            value = encode(after) if after else None
            return Proposal([Write(key, value, image.version(key))], condition)

        await self._metadata.propose(plan)

    def _check(self, table: Table, name: str, before: Texts, after: Texts) -> None:
        if table is TOPIC:
            check_topic_configs(self._config, after)
            return
        if table is GROUP:
            check_group_configs(self._config, after)
            return
        if table is CLIENT_METRICS:
            from pylog.telemetry.subscriptions import subscription_of

            subscription_of(after)
            return
        for key in after.keys() | before.keys():
            if after.get(key) != before.get(key):
                _check_dynamic(_option(table, key), name)
        _check_texts(table, after, ErrorCode.INVALID_REQUEST)


def _check_dynamic(option: Option, name: str) -> None:
    if option.dynamic is Dynamic.NO:
        reason = "can't be altered while a broker runs"
    elif option.dynamic is Dynamic.BROKER and name == ALL_BROKERS:
        reason = "can be altered for one broker at a time only"
    else:
        return
    raise ApiError(ErrorCode.INVALID_REQUEST, f"{option.name} {reason}.")


def _check_in_common(name: str, keys: Collection[str], after: Texts) -> None:
    """INVALID_CONFIG when the number of copies in sync would not be one for all brokers."""
    if name == ALL_BROKERS and MIN_IN_SYNC not in after:
        reason = "can't be taken away from all brokers"
    elif name != ALL_BROKERS and MIN_IN_SYNC in keys:
        reason = "can't be altered for one broker"
    else:
        return
    raise ApiError(
        ErrorCode.INVALID_CONFIG, f"{MIN_IN_SYNC} {reason} while {ELIGIBLE_LEADERS} is set."
    )


def check_topic_configs(config: BrokerConfig, overrides: Texts) -> None:
    """INVALID_CONFIG for an unknown name, a wrong value, or values that exclude each other."""
    _check_texts(TOPIC, overrides)
    low, high = (
        config.resource_value(TOPIC[name], overrides)
        for name in ("min.compaction.lag.ms", "max.compaction.lag.ms")
    )
    if isinstance(low, int) and isinstance(high, int) and low > high:
        raise ApiError(
            ErrorCode.INVALID_CONFIG,
            f"min.compaction.lag.ms ({low}) is above max.compaction.lag.ms ({high}).",
        )


def check_group_configs(config: BrokerConfig, overrides: Texts) -> None:
    """INVALID_CONFIG for an unknown name, or a value outside the broker's bounds."""
    _check_texts(GROUP, overrides)
    for name, text in overrides.items():
        low, high = _bounds_of_group(config, name)
        if (low is not None and int(text) < low) or (high is not None and int(text) > high):
            raise ApiError(ErrorCode.INVALID_CONFIG, f"{name} must be from {low} to {high}.")
    for kind in ("consumer", "share", "streams"):
        _check_session(config, overrides, kind)


def _check_session(config: BrokerConfig, overrides: Texts, kind: str) -> None:
    """A session has to outlast the wait for a heartbeat, where a group changes one of them."""
    session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
    if not overrides.keys() & {session, heartbeat}:
        return
    session_ms, heartbeat_ms = (
        int(overrides.get(name, config.integer(f"group.{name}"))) for name in (session, heartbeat)
    )
    if session_ms <= heartbeat_ms:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"{session} must be greater than {heartbeat}.")


def _bounds_of_group(config: BrokerConfig, name: str) -> tuple[int | None, int | None]:
    """What the broker's settings say of a group's, where they do."""
    kind, _, what = name.partition(".")
    names = [f"group.{kind}.{end}.{what.removeprefix('num.')}" for end in ("min", "max")]
    low, high = (config.integer(key) if key in BROKER.by_name else None for key in names)
    return low, high


def _check_texts(table: Table, texts: Texts, refusal: ErrorCode = ErrorCode.INVALID_CONFIG) -> None:
    try:
        table.check(texts)
    except ConfigError as error:
        raise ApiError(refusal, str(error)) from None


def _option(table: Table, name: str) -> Option:
    try:
        return table[name]
    except ConfigError as error:
        raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None


def _resource(kind: int) -> tuple[Table, str]:
    if kind == ResourceType.TOPIC:
        return TOPIC, "topic"
    if kind == ResourceType.BROKER:
        return BROKER, "broker"
    if kind == ResourceType.CLIENT_METRICS:
        return CLIENT_METRICS, "client-metrics"
    if kind == ResourceType.GROUP:
        return GROUP, "group"
    raise ApiError(ErrorCode.INVALID_REQUEST, f"Resources of type {kind} have no settings here.")


def check_node_name(name: str, node_id: int) -> None:
    """ApiError when a resource of brokers is not this one's."""
    if name != str(node_id):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"This is broker {node_id}, not '{name}'.")


def _check_exists(image: Image, kind: int, name: str) -> Sequence[Condition]:
    """That the resource is there, and stays there until the commit."""
    if kind == ResourceType.TOPIC:
        if not name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Topic name can't be empty.")
        if name not in image.topics:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic '{name}' does not exist.")
        key = topic_key(name)
        return [Condition(key, image.version(key))]
    if kind == ResourceType.CLIENT_METRICS:
        check_subscription_name(name)
    elif kind == ResourceType.GROUP:
        check_group_name(name)
    else:
        check_broker_name(image, name)
    return []


def check_subscription_name(name: str) -> None:
    """INVALID_REQUEST for a subscription to client metrics without a name."""
    if not name:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty.")


def check_group_name(name: str) -> None:
    """INVALID_REQUEST for a group without a name; it need not exist yet."""
    if not name:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Group name can't be empty.")


def check_broker_name(image: Image, name: str) -> None:
    """INVALID_REQUEST when a name is neither a registered broker's number nor "" (all)."""
    if name != ALL_BROKERS and not (name.isdigit() and int(name) in image.brokers):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"No broker '{name}' is registered.")
