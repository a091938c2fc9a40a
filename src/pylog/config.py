"""Settings: how one is described, read, checked and resolved. ``options`` has the tables of them.

A value comes, strongest first, from the topic or group it belongs to, from the cluster's dynamic
configuration (of this broker, then of all), from the command line, the environment or the file,
and from the table. That order, and the numbers of sources and types, are those of DescribeConfigs
(KIP-226).
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

Value = bool | int | float | str | list[str] | None
Check = Callable[[Any], str | None]
ENVIRONMENT_PREFIX: Final = "PYLOG_"
PASSWORD_SHOWN: Final = "[hidden]"


class ConfigError(ValueError):
    """A setting that is unknown or has a value it may not have; the text is for its author."""


class Kind(enum.IntEnum):
    """Types of values, numbered as in DescribeConfigs."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Source(enum.IntEnum):
    """Where a value comes from, numbered as in DescribeConfigs."""

    TOPIC = 1
    BROKER = 2
    CLUSTER = 3
    STATIC = 4
    DEFAULT = 5
    BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


class Scope(enum.Enum):
    """What a setting belongs to."""

    BROKER = "broker"
    TOPIC = "topic"
    GROUP = "group"
    CLIENT_METRICS = "client-metrics"


class Dynamic(enum.Enum):
    """How a broker's setting can be altered while it runs (KIP-226)."""

    NO = "read-only"
    BROKER = "per-broker"  # for one broker, not for all of them
    CLUSTER = "cluster-wide"  # for one broker, or for all of them


class Synonym(NamedTuple):
    """A broker setting that a topic's or group's setting falls back on, in another unit."""

    name: str
    factor: int = 1


class Option(NamedTuple):
    """One row of the table. ``default`` is text as a user would write it; None is "not set"."""

    name: str
    kind: Kind
    default: str | None
    doc: str
    check: Check | None = None
    scope: Scope = Scope.BROKER
    dynamic: Dynamic = Dynamic.NO
    synonyms: tuple[Synonym, ...] = ()
    no_effect: str = ""  # why it has none here, of a setting that is Kafka's
    hidden: bool = False  # not described: internal

    @property
    def sensitive(self) -> bool:
        """Never shown."""
        return self.kind is Kind.PASSWORD

    def parse(self, text: str) -> Value:
        """The typed value of a text; ConfigError names the setting, the text and what is wrong."""
        try:
            value = _PARSERS[self.kind](text.strip())
        except ValueError as error:
            reason = str(error)
        else:
            reason = (self.check(value) if self.check else None) or ""
            if not reason:
                return value
        shown = PASSWORD_SHOWN if self.sensitive else repr(text)
        raise ConfigError(f"Invalid value {shown} for {self.name}: {reason}")


class Origin(NamedTuple):
    """One place that gives a setting a value."""

    name: str
    text: str | None
    source: Source


class Table:
    """The settings of one scope by name."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.by_name = {option.name: option for option in options}

    def __getitem__(self, name: str) -> Option:
        option = self.by_name.get(name)
        if option is None:
            raise ConfigError(f"Unknown setting {name}{_did_you_mean(name, self.by_name)}")
        return option

    def check(self, texts: Mapping[str, str]) -> None:
        """ConfigError for the first unknown name or wrong value."""
        for name, text in texts.items():
            self[name].parse(text)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


# ---- parsing ----


# Python's own parsers take more: digits of every script, underscores, nan.
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError("expected true or false")
    return lowered == "true"


def _whole(bits: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise ValueError("not a whole number")
        number = int(text)
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise ValueError(f"not a number of {bits} bits")
        return number

    return parse


def _double(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def split_list(text: str) -> list[str]:
    """The items of a comma-separated list, without empty ones."""
    return [item for part in text.split(",") if (item := part.strip())]


_PARSERS: Final[dict[Kind, Callable[[str], Value]]] = {
    Kind.BOOLEAN: _boolean,
    Kind.STRING: str,
    Kind.INT: _whole(32),
    Kind.SHORT: _whole(16),
    Kind.LONG: _whole(64),
    Kind.DOUBLE: _double,
    Kind.LIST: split_list,
    Kind.CLASS: str,
    Kind.PASSWORD: str,
}


# ---- checks ----


def at_least(minimum: float) -> Check:
    """A number not below ``minimum``."""
    return lambda value: f"must be at least {minimum}" if value < minimum else None


def between(minimum: float, maximum: float) -> Check:
    """A number from ``minimum`` to ``maximum``."""

    def check(value: float) -> str | None:
        if minimum <= value <= maximum:
            return None
        return f"must be from {minimum} to {maximum}"

    return check


def not_empty(value: str | list[str]) -> str | None:
    """A text or a list that is not empty."""
    return None if value else "must not be empty"


def one_of(*allowed: str) -> Check:
    """One of some words, or for a list some of them."""

    def check(value: str | list[str]) -> str | None:
        items = value if isinstance(value, list) else [value]
        if set(items) <= set(allowed):
            return None
        return f"must be one of {', '.join(allowed)}"

    return check


# ---- reading ----


def from_environment(table: Table, environment: Mapping[str, str]) -> dict[str, str]:
    """Settings in variables such as PYLOG_LOG_SEGMENT_BYTES. Others with the prefix are ignored."""
    names = {ENVIRONMENT_PREFIX + name.upper().replace(".", "_"): name for name in table.by_name}
    return {names[key]: text for key, text in environment.items() if key in names}


def from_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Settings of a TOML file: names in quotes, or as tables (``[log] segment.bytes = 1``)."""
    import tomllib

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    return dict(_flatten("", document))


def _flatten(prefix: str, document: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flatten(f"{prefix}{key}.", value)
        else:
            yield prefix + key, _text_of(value)


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_text_of, value))
    return str(value)


def from_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Settings given as NAME=VALUE."""
    texts = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise ConfigError(f"{pair!r} is not NAME=VALUE")
        texts[name.strip()] = text
    return texts


# ---- resolving ----


class BrokerConfig:
    """The settings of one broker: what it was started with, over which the dynamic ones lie."""

    def __init__(self, table: Table, static: Mapping[str, str]) -> None:
        table.check(static)
        self.table = table
        self._static = dict(static)
        self._broker: Mapping[str, str] = {}
        self._cluster: Mapping[str, str] = {}
        self._values: dict[str, Value] = {}

    @property
    def without_effect(self) -> list[Option]:
        """The settings it was started with that only Kafka has a use for."""
        return [self.table[name] for name in self._static if self.table[name].no_effect]

    def set_dynamic(self, broker: Mapping[str, str], cluster: Mapping[str, str]) -> None:
        """Replace the dynamic settings: those of this broker, and those of all brokers."""
        self._broker, self._cluster = broker, cluster
        self._values.clear()

    def origins(self, name: str) -> list[Origin]:
        """Every place with a value for a setting, strongest first; the table comes last."""
        places = (
            (self._broker, Source.BROKER),
            (self._cluster, Source.CLUSTER),
            (self._static, Source.STATIC),
        )
        found = [Origin(name, texts[name], source) for texts, source in places if name in texts]
        default = self.table[name].default
        if default is not None or not found:
            found.append(Origin(name, default, Source.DEFAULT))
        return found

    def value(self, name: str) -> Value:
        """The value in force, typed."""
        if name not in self._values:
            text = self.origins(name)[0].text
            self._values[name] = None if text is None else self.table[name].parse(text)
        return self._values[name]

    def flag(self, name: str) -> bool:
        """The value of a BOOLEAN setting."""
        return cast(bool, self.value(name))

    def integer(self, name: str) -> int:
        """The value of an INT, SHORT or LONG setting that has a default."""
        return cast(int, self.value(name))

    def number(self, name: str) -> float:
        """The value of a DOUBLE setting."""
        return cast(float, self.value(name))

    def text(self, name: str) -> str:
        """The value of a STRING setting that has a default."""
        return cast(str, self.value(name))

    def optional_text(self, name: str) -> str | None:
        """The value of a STRING setting that need not be set."""
        return cast(str | None, self.value(name))

    def items(self, name: str) -> list[str]:
        """The value of a LIST setting; empty when not set."""
        return cast(list[str], self.value(name) or [])

    def resource_origins(
        self, option: Option, overrides: Mapping[str, str], source: Source
    ) -> list[Origin]:
        """Like :meth:`origins`, for a setting of a topic or a group with its own overrides."""
        found = []
        if option.name in overrides:
            found.append(Origin(option.name, overrides[option.name], source))
        fallbacks = [self.origins(synonym.name) for synonym in option.synonyms]
        for rank in (Source.BROKER, Source.CLUSTER, Source.STATIC, Source.DEFAULT):
            found += [
                origin
                for origins in fallbacks
                for origin in origins
                if origin.source is rank and origin.text is not None
            ]
        if not option.synonyms:
            found.append(Origin(option.name, option.default, Source.DEFAULT))
        return found

    def resource_text(self, option: Option, origins: Sequence[Origin]) -> str | None:
        """The text in force among ``origins``, in the unit of the setting itself."""
        first = origins[0]
        factor = next((s.factor for s in option.synonyms if s.name == first.name), 1)
        if first.text is None or factor == 1:
            return first.text
        number = int(first.text)
        return str(number * factor if number >= 0 else number)

    def resource_value(
        self, option: Option, overrides: Mapping[str, str], source: Source = Source.TOPIC
    ) -> Value:
        """The typed value in force of a setting of a topic or a group."""
        text = self.resource_text(option, self.resource_origins(option, overrides, source))
        return None if text is None else option.parse(text)
