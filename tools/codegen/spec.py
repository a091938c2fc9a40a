"""Message specs of Kafka as plain data.

A spec is a JSON file with ``//`` comments inside a Kafka jar, under ``common/message``. What is
kept of it is what decides bytes on the wire.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPEN_END = 32767
PRIMITIVES = {
    "bool", "int8", "int16", "uint16", "int32", "int64", "uuid", "float64",
    "string", "bytes", "records",
}  # fmt: skip

Json = dict[str, Any]


class SpecError(Exception):
    """A spec uses something that the generator does not know."""


@dataclass(frozen=True)
class Versions:
    """Versions ``first`` to ``last``, both included; none when ``first > last``."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str | None) -> Versions:
        """Read ``"3"``, ``"3+"``, ``"3-5"``, ``"none"`` or None (none)."""
        if text is None or text == "none":
            return cls(0, -1)
        match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text.strip())
        if match is None:
            raise SpecError(f"version range {text!r}")
        first, plus, last = int(match[1]), match[2], match[3]
        return cls(first, OPEN_END if plus else int(last) if last else first)

    def __bool__(self) -> bool:
        return self.first <= self.last

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last

    def __str__(self) -> str:
        if not self:
            return ""
        if self.last == OPEN_END:
            return f"{self.first}+"
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


@dataclass
class Field:
    """One field of a struct, in wire order."""

    name: str  # snake_case
    type: str  # a primitive, or the name of a struct
    is_array: bool
    versions: Versions
    nullable: Versions
    tag: int | None
    ignorable: bool
    default: bool | int | float | str | bytes | None  # None is null; b"" and "" are empty
    is_struct: bool


@dataclass
class Struct:
    """A struct of one message, by the spec's name; ``class_name`` is its name in Python."""

    name: str
    fields: list[Field]
    class_name: str = ""


@dataclass
class Message:
    """One spec. ``structs`` are in definition order: used ones before their users, itself last."""

    name: str
    kind: str  # request, response, data, coordinator-key, coordinator-value
    api_key: int | None
    valid: Versions
    flexible: Versions
    listeners: list[str]
    latest_unstable: bool
    structs: list[Struct] = field(default_factory=list)

    @property
    def stem(self) -> str:
        """The name without Request, Response, Key or Value."""
        return re.sub(r"(Request|Response|Key|Value)$", "", self.name)


def snake_case(name: str) -> str:
    """``TopicIdPartition`` to ``topic_id_partition``; a run of capitals is one letter each."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def read_jar(jar: Path) -> Iterator[Message]:
    """All messages that have a valid version, by file name."""
    with zipfile.ZipFile(jar) as archive:
        names = sorted(n for n in archive.namelist() if re.match(r"common/message/\w+\.json$", n))
        for name in names:
            spec = json.loads(without_comments(archive.read(name).decode()))
            if spec["validVersions"] != "none" and spec["type"] != "header":
                yield read_message(spec)


def without_comments(text: str) -> str:
    """The text without its comment lines; specs have no comment behind code."""
    return re.sub(r"(?m)^\s*//.*$", "", text)


def read_message(spec: Json) -> Message:
    """One message with its structs."""
    message = Message(
        name=spec["name"],
        kind=spec["type"],
        api_key=spec.get("apiKey"),
        valid=Versions.parse(spec["validVersions"]),
        flexible=Versions.parse(spec.get("flexibleVersions")),
        listeners=spec.get("listeners", []),
        latest_unstable=spec.get("latestVersionUnstable", False),
    )
    common = {struct["name"]: struct["fields"] for struct in spec.get("commonStructs", [])}
    _add_struct(message, spec["name"], spec["fields"], common)
    return message


def _add_struct(message: Message, name: str, fields: list[Json], common: Json) -> None:
    if any(struct.name == name for struct in message.structs):
        return
    struct = Struct(name, [])
    for spec in fields:
        read = _read_field(spec)
        if read.is_struct:
            inner = spec["fields"] if "fields" in spec else common[read.type]
            _add_struct(message, read.type, inner, common)
        struct.fields.append(read)
    message.structs.append(struct)


def _read_field(spec: Json) -> Field:
    tagged = Versions.parse(spec.get("taggedVersions"))
    versions = Versions.parse(spec["versions"]) if "versions" in spec else tagged
    if tagged and tagged != versions:
        raise SpecError(f"{spec['name']} is tagged in some of its versions only")
    if "flexibleVersions" in spec:
        raise SpecError(f"{spec['name']} has flexible versions of its own")
    type_name, is_array = spec["type"].removeprefix("[]"), spec["type"].startswith("[]")
    return Field(
        name=snake_case(spec["name"]),
        type=type_name,
        is_array=is_array,
        versions=versions,
        nullable=Versions.parse(spec.get("nullableVersions")),
        tag=spec["tag"] if tagged else None,
        ignorable=spec.get("ignorable", False),
        default=_default("array" if is_array else type_name, spec.get("default")),
        is_struct=type_name not in PRIMITIVES,
    )


def _default(type_name: str, given: Any) -> bool | int | float | str | bytes | None:
    """What the field holds when nobody sets it; a JSON null counts as not given, as in Kafka."""
    text = "" if given is None else str(given)
    if text == "null" or type_name == "records":
        return None
    if type_name == "bool":
        return text.lower() == "true"
    if type_name == "float64":
        return float(text or 0)
    if type_name.lstrip("u") in ("int8", "int16", "int32", "int64"):
        return int(text or "0", 0)
    if type_name == "bytes":
        return b""
    if type_name == "uuid":
        return bytes(16)
    return text
