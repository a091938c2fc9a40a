"""A broker of our own for the time of a command: ``pylog serve`` as a process."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

LISTENING = re.compile(r"listening on (\S+:\d+)")


@contextmanager
def own_broker(settings: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    """Starts a broker on a free port with a temporary folder; yields its address and process id.

    `settings` are NAME=VALUE. Stops it at the end; raises ClickException when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pylog-") as folder:
        serve = [sys.executable, "-m", "pylog", "serve", "--listen", "127.0.0.1:0"]
        serve += ["--data-dir", str(Path(folder) / "data")]
        for setting in settings:
            serve += ["--set", setting]
        log = Path(folder) / "stderr.log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            try:
                assert process.stdout is not None
                match = LISTENING.search(process.stdout.readline())
                if match is None:
                    process.wait()
                    raise click.ClickException(f"the broker did not start: {log.read_text()}")
                yield match[1], process.pid
            finally:
                process.terminate()
