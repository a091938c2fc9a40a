"""`pylog log` over a small data folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.small_log import NAME, START, make

from pylog.cli.log import command
from pylog.log.checkpoint import LOG_START_FILE, read_checkpoint
from pylog.log.checkpoint_seal import write_checkpoints
from pylog.log.layout import DataFolder, log_folders_of


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


def test_logs_go_between_several_folders_and_keep_what_is_noted_of_them(
    folder: Path, tmp_path: Path
) -> None:
    """Out of two into two where Kafka has them, and from there into two new ones."""
    second = tmp_path / "second"
    shutil.copytree(folder / NAME, second / "other-0")
    place_text(second / "other-0", "AAAAAAAAAAAAAAAAAAAAAg")
    write_checkpoints(second, {LOG_START_FILE: {("other", 0): START, ("topic", 0): 1}})
    kafka = [empty_log(tmp_path / "left", "other-0").parent, empty_log(tmp_path / "right").parent]
    place_text(kafka[0] / "other-0", "AAAAAAAAAAAAAAAAAAAAAg")
    result = run("export", folder, second, "-k", kafka[0], "-k", kafka[1])
    assert result.output == "other: 1 partitions\ntopic: 1 partitions\n"
    kept = values(folder)
    new = [tmp_path / "new" / name for name in ("1", "2")]
    result = run("import", *kafka, "-d", new[0], "-d", new[1])
    assert result.output == "other: 1 partitions\ntopic: 1 partitions\n"
    for data_dir, name in [
        *zip(kafka, ("other", "topic"), strict=True),
        *zip(new, ("other", "topic"), strict=True),
    ]:
        assert list(log_folders_of(data_dir)) == [(name, 0)]
        assert values(data_dir) == kept
        assert read_checkpoint(data_dir / LOG_START_FILE) == {(name, 0): START}
    assert run("verify", *new).output == "all right\n"


def place_text(log: Path, topic_id: str) -> None:
    (log / "partition.metadata").write_text(f"version: 0\ntopic_id: {topic_id}")


@pytest.mark.parametrize("verb", ["import", "export"])
def test_a_log_that_is_in_two_folders_is_refused(folder: Path, tmp_path: Path, verb: str) -> None:
    twin = Path(shutil.copytree(folder, tmp_path / "twin"))
    option = {"import": "--data-dir", "export": "--kafka-folder"}[verb]
    target = tmp_path / "target"
    target.mkdir()
    result = run(verb, folder, twin, option, target)
    assert result.exit_code == 1
    assert "are the same partition" in result.output
    assert list(log_folders_of(target)) == []


def test_a_repair_is_told_in_json(folder: Path, segments: list[Path]) -> None:
    flip(segments[-1], segments[-1].stat().st_size - 1)
    result = run("repair", "--json", folder)
    assert result.exit_code == 0, result.output
    (told,) = (json.loads(line) for line in result.output.splitlines())
    assert told["log"] == str(folder / NAME)
    assert told["bytes_cut"] > 0
    assert Path(told["kept"]).is_dir()
    assert told["end_offset"] > 0
