"""Several data folders: what must agree among them, and what one that fails does to the others."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

import pytest

from pylog.log.dirs import LogDirs
from pylog.log.layout import (
    METADATA_STORE,
    DataFolder,
    FolderTaken,
    WrongFolder,
    is_in_use,
    make_log_folder,
    read_identity,
)

TOPIC_ID = b"\1" * 16


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [tmp_path / name for name in ("a", "b", "c")]


def identified(paths: list[Path]) -> None:
    dirs = LogDirs(paths)
    dirs.identify(1)
    (paths[0] / METADATA_STORE).touch()
    dirs.close()


def refusal(paths: list[Path]) -> str:
    dirs = LogDirs(paths)
    try:
        with pytest.raises(WrongFolder) as refused:
            dirs.identify(1)
    finally:
        dirs.close()
    return str(refused.value)


def test_new_folders_are_of_one_cluster_and_have_ids_of_their_own(paths: list[Path]) -> None:
    identified(paths)
    identities = [read_identity(path) for path in paths]
    assert all(item is not None and item.node_id == 1 for item in identities)
    assert len({item.cluster_id for item in identities if item}) == 1
    assert len({item.directory_id for item in identities if item}) == 3


def test_a_folder_can_be_added(paths: list[Path]) -> None:
    identified(paths[:1])
    identified(paths)
    first, _, last = (read_identity(path) for path in paths)
    assert first is not None
    assert last is not None
    assert first.cluster_id == last.cluster_id


def test_a_folder_of_another_cluster_is_refused(paths: list[Path]) -> None:
    identified(paths[:2])
    identified(paths[2:])
    assert re.search(r"/a is of cluster \S+, \S+/c of cluster", refusal(paths))


def test_a_copy_of_a_folder_is_refused(paths: list[Path]) -> None:
    identified(paths[:1])
    shutil.copytree(paths[0], paths[1])
    assert "/b is a copy of" in refusal(paths)


def test_a_folder_of_a_newer_format_is_refused(paths: list[Path]) -> None:
    identified(paths)
    file = paths[2] / "meta.properties"
    file.write_text(file.read_text().replace("version=1", "version=2"))
    assert "version 2" in refusal(paths)


def test_an_empty_folder_for_the_metadata_is_no_new_cluster(paths: list[Path]) -> None:
    identified(paths)
    shutil.rmtree(paths[0])
    assert "is its disk mounted" in refusal(paths)


def test_logs_without_their_metadata_are_no_new_cluster(paths: list[Path]) -> None:
    identified(paths)
    make_log_folder(str(paths[1] / "topic-0"), TOPIC_ID)
    (paths[0] / METADATA_STORE).unlink()
    assert "restore it" in refusal(paths)


def test_a_log_in_two_folders_is_refused(paths: list[Path]) -> None:
    dirs = LogDirs(paths)
    for path in paths[1:]:
        make_log_folder(str(path / "topic-7"), TOPIC_ID)
    with pytest.raises(WrongFolder, match=r"/b and .*/c have topic-7"):
        dirs.find_logs()
    dirs.close()


def test_one_taken_folder_is_enough_to_be_refused(paths: list[Path]) -> None:
    taken = DataFolder(paths[2])
    with pytest.raises(FolderTaken):
        LogDirs(paths)
    assert not is_in_use(paths[0])
    taken.close()


def test_one_that_cannot_be_opened_does_not_hold_up_the_others(paths: list[Path]) -> None:
    paths[1].touch()
    dirs = LogDirs(paths)
    assert [folder.path for folder in dirs.online] == [paths[0], paths[2]]
    assert list(dirs.failed) == [paths[1]]
    dirs.close()


def test_without_the_first_there_is_nothing(paths: list[Path]) -> None:
    paths[0].touch()
    with pytest.raises(OSError, match="File exists"):
        LogDirs(paths)


def test_a_folder_that_fails_at_something_is_left_out_of_the_next(paths: list[Path]) -> None:
    dirs = LogDirs(paths)
    seen = []

    def fail_in_the_middle(folder: DataFolder) -> None:
        seen.append(folder.path)
        if folder.path == paths[1]:
            raise OSError(errno.EIO, "no disk")

    dirs.each(fail_in_the_middle)
    dirs.each(fail_in_the_middle)
    assert seen == [*paths, paths[0], paths[2]]
    assert is_in_use(paths[1])
    dirs.close()
    assert not is_in_use(paths[1])
