"""The sealed copy of a folder's checkpoints: it knows what their writer has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylog.log.checkpoint import MalformedCheckpoint, read_checkpoint
from pylog.log.checkpoint_seal import SEAL_FILE, changed_files, read_seal, write_checkpoints

FIRST = {"a-checkpoint": {("topic", 0): 100}, "b-checkpoint": {("topic", 1): 7}}
SECOND = {"a-checkpoint": {("topic", 0): 200}}


def test_a_flip_of_any_byte_of_a_checkpoint_is_found_and_mended(tmp_path: Path) -> None:
    write_checkpoints(tmp_path, FIRST)
    path = tmp_path / "a-checkpoint"
    good = path.read_bytes()
    for position in range(len(good)):
        flipped = bytearray(good)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        assert changed_files(tmp_path) == [path]
        assert read_seal(tmp_path).read(path) == FIRST["a-checkpoint"]


def test_a_flip_of_any_byte_of_the_copy_is_found(tmp_path: Path) -> None:
    write_checkpoints(tmp_path, FIRST)
    seal = tmp_path / SEAL_FILE
    good = seal.read_bytes()
    for position in range(len(good)):
        flipped = bytearray(good)
        flipped[position] ^= 1
        seal.write_bytes(flipped)
        with pytest.raises(MalformedCheckpoint, match=SEAL_FILE):
            changed_files(tmp_path)


def test_a_checkpoint_that_is_gone_is_missed(tmp_path: Path) -> None:
    for _ in range(2):  # it was not there before the first time
        write_checkpoints(tmp_path, FIRST)
    (tmp_path / "b-checkpoint").unlink()
    assert changed_files(tmp_path) == [tmp_path / "b-checkpoint"]


def test_those_that_are_not_written_stay_known(tmp_path: Path) -> None:
    write_checkpoints(tmp_path, FIRST)
    write_checkpoints(tmp_path, SECOND)
    seal = read_seal(tmp_path)
    assert seal.read(tmp_path / "a-checkpoint") == SECOND["a-checkpoint"]
    assert seal.read(tmp_path / "b-checkpoint") == FIRST["b-checkpoint"]
    assert changed_files(tmp_path) == []


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_kill_in_the_middle_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    write_checkpoints(tmp_path, FIRST)
    renames = 0
    replace = Path.replace

    def cut_off(self: Path, target: Path) -> Path:
        nonlocal renames
        if renames == done:
            raise OSError("killed")
        renames += 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    both = {**SECOND, "b-checkpoint": {("topic", 1): 8}}
    with pytest.raises(OSError, match="killed"):
        write_checkpoints(tmp_path, both)
    assert changed_files(tmp_path) == []
    expected = both if done else FIRST
    for name, offsets in expected.items():
        assert read_seal(tmp_path).read(tmp_path / name) == offsets


def test_without_a_copy_files_are_read_as_they_are(tmp_path: Path) -> None:
    write_checkpoints(tmp_path, FIRST)
    os.unlink(tmp_path / SEAL_FILE)
    assert changed_files(tmp_path) == []
    path = tmp_path / "a-checkpoint"
    path.write_text("0\n1\ntopic 0 3\n")
    assert read_seal(tmp_path).read(path) == read_checkpoint(path) == {("topic", 0): 3}
