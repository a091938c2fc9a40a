"""The data folder: whose it is, who has it, and what lies in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylog.log.layout import (
    DataFolder,
    FolderTaken,
    WrongFolder,
    make_log_folder,
    random_id,
    random_uuid,
    read_topic_id,
    set_aside,
)
from pylog.protocol.uuids import uuid_from_text


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "deep" / "data")
    yield folder
    folder.close()


def test_a_folder_has_one_broker_at_a_time(folder: DataFolder) -> None:
    with pytest.raises(FolderTaken, match="in use"):
        DataFolder(folder.path)


def test_a_folder_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    DataFolder(tmp_path).close()


def test_a_new_folder_gets_an_identity_and_keeps_it(folder: DataFolder) -> None:
    identity = folder.identify(3)
    assert folder.identify(3) == identity
    assert identity.node_id == 3
    assert len(uuid_from_text(identity.cluster_id)) == 16
    lines = (folder.path / "meta.properties").read_text().splitlines()
    assert lines[0] == "version=1"
    assert "node.id=3" in lines


def test_the_folder_of_another_node_is_refused(folder: DataFolder) -> None:
    folder.identify(3)
    with pytest.raises(WrongFolder, match=r"node 3.*node.id is 4"):
        folder.identify(4)


def test_a_malformed_identity_is_refused(folder: DataFolder) -> None:
    (folder.path / "meta.properties").write_text("version=1\nnode.id=one\n")
    with pytest.raises(WrongFolder, match="malformed"):
        folder.identify(1)


def test_the_identity_that_kafka_wrote_is_read(folder: DataFolder) -> None:
    (folder.path / "meta.properties").write_text(
        "#\n#Tue Nov 24 23:00:00 UTC 2026\nnode.id=1\nversion=1\n"
        "directory.id=BFwTw3qVQxmGyjFcbMQzlg\ncluster.id=0qKQ5JgWTxyxmk283CSWJg\n"
    )
    assert folder.identify(1).cluster_id == "0qKQ5JgWTxyxmk283CSWJg"


def test_the_mark_of_a_clean_stop_counts_once(folder: DataFolder) -> None:
    assert not folder.take_clean_mark()
    folder.leave_clean_mark()
    assert folder.take_clean_mark()
    assert not folder.take_clean_mark()


def test_log_folders_are_found_by_their_names(folder: DataFolder) -> None:
    names = ["a-b-0", "a.b_c-12", "a-0.0123456789abcdef0123456789abcdef-delete", "nothing"]
    for name in names:
        (folder.path / name).mkdir()
    (folder.path / "file-0").write_text("")
    assert folder.log_folders() == {
        ("a-b", 0): folder.path / "a-b-0",
        ("a.b_c", 12): folder.path / "a.b_c-12",
    }


def test_deletions_that_were_begun_are_finished(folder: DataFolder) -> None:
    doomed = folder.path / "a-0.0123456789abcdef0123456789abcdef-delete"
    kept = folder.path / "a-1"
    for path in (doomed, kept):
        path.mkdir()
        (path / "00000000000000000000.log").write_bytes(b"x")
    folder.remove_deleted()
    assert not doomed.exists()
    assert kept.exists()


def test_a_log_that_is_set_aside_keeps_its_files_and_loses_its_name(folder: DataFolder) -> None:
    path = folder.path / "a-0"
    path.mkdir()
    (path / "data").write_bytes(b"x")
    target = set_aside(path)
    assert (target / "data").read_bytes() == b"x"
    assert folder.log_folders() == {}
    folder.remove_deleted()
    assert target.exists()


def test_a_log_folder_knows_its_topic(tmp_path: Path) -> None:
    topic_id = random_uuid()
    make_log_folder(str(tmp_path / "a-0"), topic_id)
    assert read_topic_id(tmp_path / "a-0") == topic_id
    with pytest.raises(FileExistsError):
        make_log_folder(str(tmp_path / "a-0"), topic_id)


@pytest.mark.parametrize("content", [None, "", "version: 0", "version: 0\ntopic_id: short"])
def test_a_log_folder_may_not_know_its_topic(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "partition.metadata").write_text(content)
    assert read_topic_id(tmp_path) is None


def test_ids_are_version_4_uuids_and_no_option_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = random_uuid()
    assert value[6] >> 4 == 4
    assert value[8] >> 6 == 2
    draws = iter([b"\xf8" + bytes(15), bytes(16)])  # the text of the first begins with a dash
    monkeypatch.setattr("os.urandom", lambda n: next(draws))
    assert not random_id().startswith("-")
