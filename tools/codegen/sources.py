"""What the generator reads: the messages, error codes and settings of the pinned jars."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.codegen import lanes, spec

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".cache" / "jars"


@dataclass(frozen=True)
class Error:
    """One error of Kafka's protocol."""

    code: int
    name: str
    retriable: bool


@dataclass(frozen=True)
class Setting:
    """One setting of Kafka's; ``check`` is its validator as it prints itself."""

    scope: str  # "broker", "topic", "group"
    name: str
    kind: str  # "INT"
    dynamic: str  # "read-only", "per-broker", "cluster-wide"
    default: str | None
    check: str
    hidden: bool  # not described


@dataclass(frozen=True)
class Api:
    """One key that clients may use, with its two messages."""

    key: int
    request: spec.Message
    response: spec.Message

    @property
    def name(self) -> str:
        return self.request.stem

    @property
    def module(self) -> str:
        return spec.snake_case(self.name)

    @property
    def lane(self) -> str | None:
        return lanes.LANES.get(self.key)

    @property
    def min_version(self) -> int:
        return lanes.ADVERTISED_FROM.get(self.key, self.request.valid.first)

    @property
    def max_version(self) -> int:
        """The latest that is stable."""
        return self.request.valid.last - int(self.request.latest_unstable)


class Sources:
    """Reads on first use; the jars come from ``tools/fetch_jars.sh``."""

    def __init__(self, jars: Path = JARS) -> None:
        self._jars = jars

    def _jar(self, artifact: str) -> Path:
        found = sorted(self._jars.glob(f"{artifact}-[0-9]*.jar"))
        if len(found) != 1:
            raise FileNotFoundError(f"no {artifact} jar in {self._jars}: run tools/fetch_jars.sh")
        return found[0]

    @cached_property
    def messages(self) -> dict[str, spec.Message]:
        """The messages of kafka-clients, by name."""
        return {message.name: message for message in spec.read_jar(self._jar("kafka-clients"))}

    @cached_property
    def apis(self) -> list[Api]:
        """The keys of the broker's listeners, in order."""
        requests = [m for m in self.messages.values() if "broker" in m.listeners]
        apis = [Api(m.api_key or 0, m, self.messages[m.stem + "Response"]) for m in requests]
        return sorted(apis, key=lambda api: api.key)

    def records(self, artifact: str) -> list[spec.Message]:
        """The records of one coordinator's internal topic."""
        return list(spec.read_jar(self._jar(artifact)))

    @cached_property
    def errors(self) -> list[Error]:
        """All error codes, by code."""
        rows = [line.split() for line in self._run("ErrorCodes.java")]
        errors = [Error(int(code), name, flag == "true") for code, name, flag in rows]
        return sorted(errors, key=lambda error: error.code)

    @cached_property
    def settings(self) -> list[Setting]:
        """All settings of the broker, of topics and of groups."""
        return [_setting(*line.split("\t")) for line in self._run("Settings.java")]

    def _run(self, program: str) -> list[str]:
        """The lines that a program of this folder prints."""
        classpath = os.pathsep.join(str(path) for path in sorted(self._jars.glob("*.jar")))
        command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classpath]
        path = str(Path(__file__).with_name(program))
        done = subprocess.run([*command, path], check=True, capture_output=True, text=True)
        return done.stdout.splitlines()


def _setting(
    scope: str, name: str, kind: str, dynamic: str, default: str, check: str, hidden: str
) -> Setting:
    value = default[1:] if default.startswith("=") else None
    return Setting(scope, name, kind, dynamic, value, check, hidden == "hidden")
