"""A file system so small that it is soon full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1024 * 1024


@contextlib.contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[Path]:
    """Mounts one in memory at a new folder; the test is left out where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill_up(ballast: Path) -> None:
    """Take what is left of a disk."""
    with open(ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
