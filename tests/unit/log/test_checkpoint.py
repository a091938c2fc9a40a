"""Checkpoint files: Kafka's format, replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylog.log.checkpoint import MalformedCheckpoint, read_checkpoint, write_checkpoint

OFFSETS = {("b", 1): 5, ("a", 10): 0, ("a", 2): 2**62}


def test_a_checkpoint_is_in_kafkas_format(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    write_checkpoint(path, OFFSETS)
    assert path.read_text() == f"0\n3\na 2 {2**62}\na 10 0\nb 1 5\n"
    assert read_checkpoint(path) == OFFSETS


def test_an_absent_checkpoint_has_no_offsets(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "checkpoint") == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"1\n0\n", b"0\n", b"0\n2\na 0 1\n", b"0\n1\na 0\n", b"0\n1\na 0 x\n", b"\xff\xfe"],
)
def test_a_malformed_checkpoint_is_told_from_an_empty_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(MalformedCheckpoint, match="checkpoint"):
        read_checkpoint(path)


def test_a_failed_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint"
    write_checkpoint(path, OFFSETS)

    def fail(_: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk is gone"):
        write_checkpoint(path, {("c", 0): 1})
    assert read_checkpoint(path) == OFFSETS
