"""`pylog log` over a small data folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.small_log import NAME, START, make

from pylog.cli.log import command
from pylog.log.layout import DataFolder


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pristine") / "data")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "data"))


@pytest.fixture
def segments(folder: Path) -> list[Path]:
    return sorted((folder / NAME).glob("*.log"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def dumped(*arguments: object) -> list[dict[str, object]]:
    result = run("dump", "--json", *arguments)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.output.splitlines()]


def values(folder: Path) -> list[object]:
    return [item["value"] for item in dumped("--records", folder) if item["kind"] == "record"]


def test_dump_shows_every_kind_of_file(folder: Path) -> None:
    kinds = {item["kind"] for item in dumped(folder)}
    assert kinds == {
        "batch",
        "offset",
        "time",
        "aborted",
        "producer",
        "epoch",
        "checkpoint",
        "text",
    }


def test_dump_of_one_file_shows_its_batches_and_records(segments: list[Path]) -> None:
    items = dumped("--records", segments[0])
    assert {item["file"] for item in items} == {str(segments[0])}
    first, record = items[:2]
    assert (first["kind"], first["position"], first["last_offset"]) == ("batch", 0, 1)
    assert (record["kind"], record["key"], record["value"]) == ("record", "key", "0" * 20)


def test_dump_goes_on_behind_a_damaged_file(segments: list[Path]) -> None:
    flip(segments[0], 80)
    items = dumped(segments[0].parent)
    (damage,) = [item for item in items if item["kind"] == "damage"]
    assert (damage["file"], damage["position"]) == (str(segments[0]), 0)
    assert str(segments[-1]) in {item["file"] for item in items}


def test_verify_tells_file_and_position_by_its_exit_code_too(segments: list[Path]) -> None:
    log = segments[0].parent
    for path in (log, log.parent):
        assert run("verify", path).exit_code == 0
    flip(segments[0], 80)
    for path in (log, log.parent):
        result = run("verify", path)
        assert result.exit_code == 1
        assert f"{segments[0]} at byte 0" in result.output


def test_repair_cuts_a_torn_tail_and_keeps_a_copy(folder: Path, segments: list[Path]) -> None:
    before = values(folder)
    torn = b"\0" * 20
    with segments[-1].open("ab") as file:
        file.write(torn)
    assert run("verify", folder).exit_code == 1
    assert "20 bytes cut" in run("repair", folder).output
    assert run("verify", folder).exit_code == 0
    assert values(folder) == before
    (kept,) = folder.glob("*-cut/*")
    assert kept.read_bytes() == torn


def test_repair_writes_damaged_indexes_anew(folder: Path, segments: list[Path]) -> None:
    before = values(folder)
    for suffix in (".index", ".timeindex"):
        flip(segments[0].with_suffix(suffix), 3)
    next(iter((folder / NAME).glob("*.txnindex"))).write_bytes(b"")
    assert run("verify", folder).exit_code == 1
    assert run("repair", folder / NAME).exit_code == 0
    assert run("verify", folder).exit_code == 0
    assert values(folder) == before


def test_repair_cuts_good_segments_off_only_when_told(folder: Path, segments: list[Path]) -> None:
    flip(segments[1], 80)
    result = run("repair", folder)
    assert (result.exit_code, "--cut" in result.output) == (1, True)
    assert sorted((folder / NAME).glob("*.log")) == segments
    assert run("repair", "--cut", folder).exit_code == 0
    assert run("verify", folder).exit_code == 0
    assert len(list(folder.glob("*-cut/*"))) == len(segments) - 1


def test_repair_leaves_a_folder_alone_that_a_broker_uses(folder: Path) -> None:
    broker = DataFolder(folder)
    assert run("repair", folder).exit_code == 4
    assert run("verify", folder).exit_code == 0
    broker.close()


def empty_log(data_dir: Path, name: str = NAME) -> Path:
    """A log folder as Kafka leaves it for a topic without records."""
    folder = data_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00000000000000000000.log").touch()
    (folder / "partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")
    (data_dir / "log-start-offset-checkpoint").touch()
    return folder


def test_an_exported_log_has_the_topic_id_and_the_epoch_of_its_new_home(
    folder: Path, tmp_path: Path
) -> None:
    target = empty_log(tmp_path / "kafka")
    before = values(folder)
    result = run("export", folder, "--kafka-folder", target.parent)
    assert result.exit_code == 0, result.output
    assert values(target.parent) == before
    items = dumped(target.parent)
    assert {item["leader_epoch"] for item in items if item["kind"] == "batch"} == {0}
    assert [item["start_offset"] for item in items if item["kind"] == "epoch"] == [START]
    assert any("AAAAAAAAAAAAAAAAAAAAAQ" in str(item.get("text")) for item in items)
    starts = [i["offset"] for i in items if str(i["file"]).endswith("log-start-offset-checkpoint")]
    assert starts == [START]
    assert values(folder) == before
    assert run("verify", target).exit_code == 0


def test_nothing_is_exported_over_records_or_beside_a_missing_topic(
    folder: Path, tmp_path: Path
) -> None:
    other = empty_log(tmp_path / "without", "another-0")
    refused = run("export", folder, "--kafka-folder", other.parent)
    assert refused.exit_code == 1
    assert f"has no {NAME}" in refused.output
    target = empty_log(tmp_path / "with")
    (target / "00000000000000000000.log").write_bytes(b"something")
    refused = run("export", folder, "--kafka-folder", target.parent)
    assert refused.exit_code == 1
    assert "has records already" in refused.output
    more = empty_log(tmp_path / "more")
    empty_log(tmp_path / "more", NAME.replace("-0", "-1"))
    refused = run("export", folder, "--kafka-folder", more.parent)
    assert "more partitions" in refused.output
    assert sorted(path.name for path in more.iterdir()) == [
        "00000000000000000000.log",
        "partition.metadata",
    ]


def test_a_repair_is_told_in_json(folder: Path, segments: list[Path]) -> None:
    flip(segments[-1], segments[-1].stat().st_size - 1)
    result = run("repair", "--json", folder)
    assert result.exit_code == 0, result.output
    (told,) = (json.loads(line) for line in result.output.splitlines())
    assert told["log"] == str(folder / NAME)
    assert told["bytes_cut"] > 0
    assert Path(told["kept"]).is_dir()
    assert told["end_offset"] > 0
