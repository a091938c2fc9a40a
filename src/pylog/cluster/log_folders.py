"""The folders of logs that are about to be opened: made where they are missing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pylog.engine.values import PartitionSpec
from pylog.log.layout import make_log_folder, read_topic_id, set_aside

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
NOWHERE: Final = ""  # the folder of a log that can't be had: its partition is offline


def make_folders(specs: Sequence[PartitionSpec], unfit: dict[Key, OSError]) -> list[PartitionSpec]:
    """Make what is missing. A log that is ``unfit``, or becomes it here, is nowhere."""
    made = []
    for spec in specs:
        key = spec.topic, spec.partition
        try:
            if key in unfit:
                raise unfit[key]
            if spec.folder != NOWHERE:
                _make_folder(spec)
        except OSError as error:
            _log.error("no folder for a log", extra={"error": str(error)})
            unfit[key] = error
            spec = spec._replace(folder=NOWHERE)
        made.append(spec)
    return made


def _make_folder(spec: PartitionSpec) -> None:
    """One of another topic is kept, under another name."""
    try:
        make_log_folder(spec.folder, spec.topic_id)
    except FileExistsError:
        if read_topic_id(spec.folder) not in (None, spec.topic_id):
            target = set_aside(Path(spec.folder))
            _log.warning("log of another topic set aside", extra={"folder": str(target)})
            make_log_folder(spec.folder, spec.topic_id)
