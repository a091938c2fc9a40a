"""``pylog log``: look into, check, repair, import and export files of a broker, without one.

Exit codes: 0; 1 something is wrong, or could not be repaired; 2 wrong command line; 4 a broker
uses the folder that is to be changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

FOLDERS = click.Path(exists=True, path_type=Path)
DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
WRONG = 1
IN_USE = 4

paths_argument = click.argument("paths", nargs=-1, required=True, type=FOLDERS)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, one line an item.")


@click.group("log")
def command() -> None:
    """Look into, check, repair, import and export data folders and the logs in them.

    PATHS are data folders or folders of logs (TOPIC-PARTITION); dump takes single files, too.
    """


@command.command("dump")
@paths_argument
@click.option("--records", is_flag=True, help="Show the records of every batch.")
@click.option("--deep", is_flag=True, help="Decode the records of internal topics.")
@json_option
def dump_command(paths: tuple[Path, ...], records: bool, deep: bool, as_json: bool) -> None:
    """Show batches, index entries, producer snapshots, leader epochs and checkpoints."""
    from pylog.log.dump import Detail, dump

    shown = None
    for path in paths:
        for item in dump(path, Detail(records, deep)):
            if as_json:
                click.echo(json.dumps(item))
                continue
            if item["file"] != shown:
                shown = item["file"]
                click.echo(shown)
            click.echo(_line(item))


def _line(item: dict[str, Any]) -> str:
    indent = "    " if item["kind"] == "record" else "  "
    fields = (f"{k}={v}" for k, v in item.items() if k not in ("file", "kind") and v is not None)
    return f"{indent}{item['kind']} {' '.join(fields)}"


@command.command("verify")
@paths_argument
@json_option
def verify_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check every batch, and indexes, snapshots and checkpoints against them.

    Nothing is changed. Beside a running broker, what it has not finished yet is left out. Data
    folders of one broker are best checked together: the first has the metadata of all.
    """
    wrong = 0
    for finding in _all_findings(paths):
        wrong += 1
        click.echo(json.dumps(_as_json(finding)) if as_json else str(finding))
    if not as_json:
        click.echo(f"{wrong} wrong" if wrong else "all right")
    raise SystemExit(WRONG if wrong else 0)


def _as_json(finding: Any) -> dict[str, Any]:
    return {**finding._asdict(), "path": str(finding.path)}


def _all_findings(paths: tuple[Path, ...]) -> Iterator[Any]:
    from pylog.cluster.revision_mark import MalformedMark, mark_of
    from pylog.log.layout import METADATA_STORE, log_name
    from pylog.log.verify import Finding
    from pylog.log.verify_folder import FolderCheck, doubles

    logs = {path for path in paths if log_name(path.absolute()) is not None}
    folders = {path: path.absolute().parent if path in logs else path for path in paths}
    owner = None
    for folder in dict.fromkeys(folders.values()):
        store = folder / METADATA_STORE
        try:
            owner = owner or _owner_of(store)
        except (OSError, MalformedMark) as error:
            if folder in paths:
                file = mark_of(store) if isinstance(error, MalformedMark) else store
                yield Finding(file, None, str(error).partition(": ")[2])
    for path, folder in folders.items():
        check = FolderCheck(folder, owner)
        yield from check.check_log(path.absolute()) if path in logs else check.run()
    yield from doubles([path for path in paths if path not in logs])


def _owner_of(store: Path) -> Any:
    from pylog.cluster.image import image_of
    from pylog.cluster.sqlite_store import read_store
    from pylog.log.verify_folder import Owner

    if not store.exists():
        return None
    image = image_of(read_store(store))
    return Owner(image.cluster_id, {name: item.topic_id for name, item in image.topics.items()})


@command.command("repair")
@paths_argument
@click.option(
    "--cut", is_flag=True, help="Cut at damage even where good segments follow; they are kept."
)
@json_option
def repair_command(paths: tuple[Path, ...], cut: bool, as_json: bool) -> None:
    """Cut logs at torn or corrupt batches and write their indexes anew.

    No broker may use the folder. What is cut is kept beside the log, in a folder that ends in
    -cut.
    """
    from pylog.log.layout import DataFolder, FolderTaken, log_name

    failed = False
    for path in (path.absolute() for path in paths):
        try:
            data_folder = DataFolder(path.parent if log_name(path) else path)
        except FolderTaken as error:
            click.echo(f"pylog: {error}", err=True)
            raise SystemExit(IN_USE) from None
        try:
            failed |= not _repair_all(data_folder, path, cut, as_json)
        finally:
            data_folder.close()
    raise SystemExit(WRONG if failed else 0)


def _repair_all(data_folder: Any, path: Path, cut: bool, as_json: bool) -> bool:
    """Repair one log or all of a data folder, and tell of each; whether all could be."""
    from pylog.log.repair import CannotRepair, repair

    if path == data_folder.path:
        folders = [folder for _, folder in sorted(data_folder.log_folders().items())]
    else:
        folders = [path]
    complete = True
    for folder in folders:
        try:
            done = asyncio.run(repair(folder, cut_later=cut))
        except (CannotRepair, OSError) as error:
            complete = False
            click.echo(f"pylog: {error}", err=True)
            continue
        click.echo(_repaired(folder, done, as_json))
    return complete


def _repaired(folder: Path, done: Any, as_json: bool) -> str:
    if as_json:
        kept = None if done.kept is None else str(done.kept)
        return json.dumps({"log": str(folder), **done._asdict(), "kept": kept})
    cuts = f"{done.bytes_cut} bytes cut, kept in {done.kept}; " if done.kept else ""
    return f"{folder}: {cuts}indexes written anew, ends at {done.end_offset}"


@command.command("export")
@click.argument("data_dirs", nargs=-1, required=True, type=DIRECTORY, metavar="DATA_DIR...")
@click.option(
    "-k",
    "--kafka-folder",
    "kafka_folders",
    required=True,
    multiple=True,
    type=DIRECTORY,
    metavar="DIR",
    help="A log folder of Kafka; once for each.",
)
def export_command(data_dirs: tuple[Path, ...], kafka_folders: tuple[Path, ...]) -> None:
    """Copy the topics of a broker's data folders DATA_DIR into the log folders of Apache Kafka.

    Both brokers must be stopped, and Kafka must have empty topics of the same names and numbers
    of partitions. Offsets and times stay as they are; leader epochs begin anew.
    """
    from pylog.log.checkpoint import MalformedCheckpoint
    from pylog.log.exporting import CannotExport, export_topics
    from pylog.log.files import DamagedFile
    from pylog.log.layout import DataFolder, FolderTaken, WrongFolder

    try:
        with ExitStack() as locks:
            for path in data_dirs:
                locks.enter_context(closing(DataFolder(path)))
            targets = [locks.enter_context(closing(DataFolder(path))) for path in kafka_folders]
            exported = export_topics(data_dirs, targets)
    except FolderTaken as error:
        click.echo(f"pylog: {error}", err=True)
        raise SystemExit(IN_USE) from None
    except (CannotExport, DamagedFile, MalformedCheckpoint, WrongFolder, OSError) as error:
        click.echo(f"pylog: {error}", err=True)
        raise SystemExit(WRONG) from None
    _tell_topics(exported)


def _tell_topics(partitions_by_topic: dict[str, int]) -> None:
    for name, partitions in partitions_by_topic.items():
        click.echo(f"{name}: {partitions} partitions")


@command.command("import")
@click.argument("kafka_folders", nargs=-1, required=True, type=DIRECTORY, metavar="KAFKA_FOLDER...")
@click.option(
    "-d",
    "--data-dir",
    "data_dirs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A data folder; once for each, in the order of log.dirs.",
)
@click.option("--node-id", default=1, show_default=True, help="node.id of the broker of DIR.")
def import_command(
    kafka_folders: tuple[Path, ...], data_dirs: tuple[Path, ...], node_id: int
) -> None:
    """Copy the topics in the log folders of Apache Kafka into the data folders DIR.

    Both brokers must be stopped. Topic ids, offsets and leader epochs stay as they are; settings
    of topics and committed offsets of groups are not in these files.
    """
    from pylog.log.checkpoint import MalformedCheckpoint
    from pylog.log.dirs import LogDirs
    from pylog.log.files import DamagedFile
    from pylog.log.layout import FolderTaken, WrongFolder, is_in_use
    from pylog.server.importing import CannotImport, import_topics

    try:
        for folder in filter(is_in_use, kafka_folders):
            raise FolderTaken(f"{folder} is in use")
        with closing(LogDirs(data_dirs)) as target:
            imported = asyncio.run(import_topics(kafka_folders, target, node_id))
    except FolderTaken as error:
        click.echo(f"pylog: {error}", err=True)
        raise SystemExit(IN_USE) from None
    except (CannotImport, DamagedFile, MalformedCheckpoint, WrongFolder, OSError) as error:
        click.echo(f"pylog: {error}", err=True)
        raise SystemExit(WRONG) from None
    _tell_topics(imported)
