"""A folder whose disk fails or stalls when it is told to, for a broker in a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("faulty_disk.c")


class FaultyDisk:
    """What `faulty_disk.c` is told. Brokers that are started meanwhile have the disk."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._order = scratch / "order"
        self._library = scratch / "faulty_disk.so"
        self._folder = folder
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", self._library, SOURCE, "-ldl"]
        subprocess.run(command, check=True)
        self.work()

    @contextmanager
    def preloaded(self) -> Iterator[None]:
        """Brokers that are started inside have the disk."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(self._library))
            patch.setenv("FAULTY_FOLDER", str(self._folder))
            patch.setenv("FAULTY_ORDER", str(self._order))
            yield

    def work(self) -> None:
        self._tell("")

    def fail(self) -> None:
        """EIO for whatever changes or flushes something in the folder."""
        self._tell("fail")

    def stall(self) -> None:
        """Reads in the folder wait for another order."""
        self._tell("stall")

    def _tell(self, order: str) -> None:
        fresh = self._order.with_suffix(".new")
        fresh.write_text(order)
        fresh.replace(self._order)
