"""Runs Kafka's command line tools: in the Java agent's process, or in one of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.clients.client import Client
from tests.clients.kafka_tools import Verdict, tool_named
from tests.clients.kinds import JAVA

PROCESS_TIMEOUT_S = 120


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str


class Tools:
    """The tools at the broker of `java`, whose agent saves the start of a JVM for each."""

    def __init__(self, java: Client) -> None:
        self._java = java

    def __call__(self, script: str, *arguments: str, stdin: str = "", code: int = 0) -> Finished:
        """Ends with `code`; told the broker before the `arguments`."""
        where = ("--bootstrap-server", self._java.bootstrap)
        return self.plain(script, *where, *arguments, stdin=stdin, code=code)

    def plain(self, script: str, *arguments: str, stdin: str = "", code: int = 0) -> Finished:
        """Ends with `code`; told nothing but the `arguments`."""
        name = _main_class(script)
        ended = self._java.agent.call("tool", **{"class": name}, arguments=arguments, stdin=stdin)
        finished = Finished(ended["code"], ended["stdout"], ended["stderr"])
        assert finished.code == code, finished
        return finished

    def events(self, script: str, *arguments: str) -> list[dict[str, Any]]:
        """What a tool tells in JSON; a process of its own, as it tells some at its very end."""
        told = self.output(script, "--bootstrap-server", *arguments)
        return [json.loads(line) for line in told.splitlines()]

    def output(self, script: str, where: str, *arguments: str) -> str:
        """What a tool says in a process of its own; `where` is its option for the broker."""
        ended = subprocess.run(
            self._process(script, where, *arguments),
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_S,
        )
        assert ended.returncode == 0, ended
        return ended.stdout

    @contextmanager
    def lines(self, script: str, *arguments: str) -> Iterator[Iterator[str]]:
        """The lines of a tool that never ends by itself: it is killed behind the block."""
        command = self._process(script, "--broker-list", *arguments)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            yield iter(process.stdout)
            process.kill()

    def _process(self, script: str, where: str, *arguments: str) -> list[str]:
        return [*JAVA, _main_class(script), where, self._java.bootstrap, *arguments]


def _main_class(script: str) -> str:
    tool = tool_named(script)
    assert tool.verdict is not Verdict.NO, f"the table says that {script} does not work"
    return tool.main
