"""The partitions that this broker has: their logs are opened and closed as the image says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pylog.cluster.image import Image, TopicImage
from pylog.cluster.metadata import Metadata
from pylog.config import BrokerConfig
from pylog.engine import (
    Engine,
    EngineError,
    LogConfig,
    Partition,
    PartitionOffsets,
    PartitionSpec,
)
from pylog.log.checkpoint import (
    CLEANER_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    MalformedCheckpoint,
    read_checkpoint,
    write_checkpoint,
)
from pylog.log.layout import DataFolder, make_log_folder, read_topic_id
from pylog.log.settings import log_config, spread_rolls
from pylog.options import TOPIC

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
RECOVERED_TOGETHER: Final = 100  # logs between two lines of progress
_NOTHING: Final[Mapping[Key, int]] = {}


class LocalPartitions:
    """The registry of open partitions by topic and index.

    What a commit of the metadata has changed is noted at once; :meth:`reconcile` carries it out.
    """

    def __init__(
        self, engine: Engine, folder: DataFolder, config: BrokerConfig, metadata: Metadata
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._config = config
        self._metadata = metadata
        self._node_id = config.integer("node.id")
        self._open: dict[Key, Partition] = {}
        self._by_topic: dict[str, dict[int, Partition]] = {}
        self._by_handle: dict[int, Partition] = {}
        self._offline: set[Key] = set()
        self._uncleanable: set[Key] = set()
        self._changed: set[str] = set()
        self._busy = asyncio.Lock()

    # ---- reading ----

    def get(self, topic: str, index: int) -> Partition | None:
        """The open partition, or None when this broker has none that works."""
        return self._open.get((topic, index))

    def by_handle(self, handle: int) -> Partition | None:
        """The open partition behind an engine handle."""
        return self._by_handle.get(handle)

    def of_topic(self, topic: str) -> Mapping[int, Partition]:
        """The open partitions of a topic by index."""
        return self._by_topic.get(topic, {})

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._open.values())

    def is_offline(self, topic: str, index: int) -> bool:
        """Whether the log is here but can't be used: it did not open, or a write has failed."""
        return (topic, index) in self._offline

    # ---- following the image ----

    async def start(self, clean: bool) -> None:
        """Open every log that the image gives to this broker.

        ``clean``: the broker before this one has flushed and closed them all.
        """
        image = self._metadata.image
        self._set_aside_strays(image, self._folder.log_folders())
        async with self._busy:
            await self._open_missing(
                image.topics.values(),
                clean,
                self._checkpoint(RECOVERY_POINT_FILE),
                self._checkpoint(LOG_START_FILE),
                self._checkpoint(CLEANER_FILE),
            )
        self._metadata.listen(self._note)

    def _checkpoint(self, name: str) -> Mapping[Key, int]:
        try:
            return read_checkpoint(self._folder.path / name)
        except MalformedCheckpoint as error:
            _log.warning("checkpoint ignored", extra={"error": str(error)})
            return {}

    def _set_aside_strays(self, image: Image, folders: Mapping[Key, Path]) -> None:
        for (name, index), path in folders.items():
            topic = image.topics.get(name)
            if topic is not None and index < len(topic.partitions):
                found = read_topic_id(path)
                if found in (None, topic.topic_id):
                    continue
            target = self._folder.set_aside(path)
            _log.warning("log of no topic set aside", extra={"folder": str(target)})

    def _note(self, before: Image, after: Image) -> None:
        if before.topics is not after.topics:
            names = before.topics.keys() | after.topics.keys()
            self._changed |= {
                name for name in names if before.topics.get(name) is not after.topics.get(name)
            }
        if before.configs is not after.configs:
            self._reconfigure(before, after)

    async def reconcile(self) -> None:
        """Open and close what the image has changed so far; returns when that is done."""
        async with self._busy:
            while self._changed:
                names, self._changed = self._changed, set()
                await self._close_unwanted(names)
                topics = self._metadata.image.topics
                await self._open_missing([topics[name] for name in names if name in topics])

    async def _close_unwanted(self, names: Iterable[str]) -> None:
        topics = self._metadata.image.topics
        unwanted = []
        for name in names:
            topic = topics.get(name)
            for index, partition in self.of_topic(name).items():
                if topic is None or not self._wanted(topic, index, partition.topic_id):
                    unwanted.append(partition)
        for partition in unwanted:
            self._forget(partition)
        await self._engine.close_partitions(unwanted, delete=True)

    def _wanted(self, topic: TopicImage, index: int, topic_id: bytes) -> bool:
        return (
            topic.topic_id == topic_id
            and index < len(topic.partitions)
            and self._node_id in topic.partitions[index].replicas
        )

    def _forget(self, partition: Partition) -> None:
        key = partition.topic, partition.partition
        del self._open[key]
        del self._by_handle[partition.handle]
        self._offline.discard(key)
        self._uncleanable.discard(key)
        siblings = self._by_topic[partition.topic]
        del siblings[partition.partition]
        if not siblings:
            del self._by_topic[partition.topic]

    async def _open_missing(
        self,
        topics: Iterable[TopicImage],
        clean: bool = True,
        recovery_points: Mapping[Key, int] = _NOTHING,
        log_starts: Mapping[Key, int] = _NOTHING,
        cleaned_ends: Mapping[Key, int] = _NOTHING,
    ) -> None:
        specs = []
        for topic in topics:
            settings, jitter_ms = self._settings(topic.name)
            for index, state in enumerate(topic.partitions):
                key = topic.name, index
                if self._node_id not in state.replicas or key in self._open:
                    continue
                specs.append(
                    PartitionSpec(
                        topic.name,
                        index,
                        topic.topic_id,
                        self._folder.log_folder(*key),
                        spread_rolls(settings, jitter_ms, *key),
                        clean,
                        recovery_points.get(key, 0),
                        log_starts.get(key, 0),
                        state.leader_epoch,
                        cleaned_ends.get(key, 0),
                    )
                )
        if clean:
            await self._open_specs(specs)
        else:
            await self._recover_specs(specs)

    async def _recover_specs(self, specs: list[PartitionSpec]) -> None:
        """Open logs some at a time, so that whoever waits sees how far it has come."""
        for begin in range(0, len(specs), RECOVERED_TOGETHER):
            part = specs[begin : begin + RECOVERED_TOGETHER]
            await self._open_specs(part)
            _log.info("recovered %d of %d logs", begin + len(part), len(specs))

    async def _open_specs(self, specs: list[PartitionSpec]) -> None:
        await asyncio.to_thread(_make_folders, self._folder, specs)
        for spec, result in zip(specs, await self._engine.open_partitions(specs), strict=True):
            key = spec.topic, spec.partition
            if isinstance(result, EngineError):
                self._offline.add(key)
                _log.error("log not opened", extra={"folder": spec.folder, "code": result.code})
            else:
                self._open[key] = result
                self._by_handle[result.handle] = result
                self._by_topic.setdefault(spec.topic, {})[spec.partition] = result

    def _settings(self, topic: str) -> tuple[LogConfig, int]:
        overrides = self._metadata.image.config("topic", topic)
        jitter = self._config.resource_value(TOPIC["segment.jitter.ms"], overrides)
        return log_config(self._config, overrides), jitter if isinstance(jitter, int) else 0

    def _reconfigure(self, before: Image, after: Image) -> None:
        """Broker settings lie under those of every topic; a topic's own concern it alone."""
        changed = {
            key
            for key in before.configs.keys() | after.configs.keys()
            if before.configs.get(key) != after.configs.get(key)
        }
        kinds = {kind for kind, _ in changed}
        topics = self._by_topic if "broker" in kinds else {name for _, name in changed}
        for topic in topics:
            self.configure(topic)

    def configure(self, topic: str) -> None:
        """Give the open logs of a topic the settings of this moment."""
        settings, jitter_ms = self._settings(topic)
        for index, partition in self.of_topic(topic).items():
            partition.configure(spread_rolls(settings, jitter_ms, topic, index))

    def take_offline(self, handle: int) -> None:
        """Note that the log behind an engine handle has failed."""
        partition = self._by_handle.get(handle)
        if partition is not None:
            self._offline.add((partition.topic, partition.partition))
            _log.error("log offline after a failed write", extra={"log": repr(partition)})

    def note_uncleanable(self, handle: int) -> None:
        """Note that compaction has given up the log behind an engine handle."""
        partition = self._by_handle.get(handle)
        if partition is not None:
            self._uncleanable.add((partition.topic, partition.partition))
            _log.error(
                "log can't be compacted, see pylog log verify", extra={"log": repr(partition)}
            )

    @property
    def uncleanable(self) -> Collection[Key]:
        """The logs that compaction leaves alone until the next start."""
        return self._uncleanable

    # ---- checkpoints and the end ----

    async def checkpoint(self) -> None:
        """Write down what is flushed and where logs start. OSError leaves the old checkpoints."""
        await asyncio.to_thread(self._write, self._offsets())

    def _offsets(self) -> dict[Key, PartitionOffsets]:
        return {key: partition.offsets() for key, partition in self._open.items()}

    def _write(self, offsets: Mapping[Key, PartitionOffsets], closed: bool = False) -> None:
        """``closed``: everything up to the log ends is flushed."""
        flushed = {
            k: item.log_end if closed else item.recovery_point for k, item in offsets.items()
        }
        starts = {key: item.log_start for key, item in offsets.items() if item.log_start > 0}
        cleaned = {key: item.cleaned_end for key, item in offsets.items() if item.cleaned_end > 0}
        write_checkpoint(self._folder.path / RECOVERY_POINT_FILE, flushed)
        write_checkpoint(self._folder.path / LOG_START_FILE, starts)
        write_checkpoint(self._folder.path / CLEANER_FILE, cleaned)

    async def stop(self) -> bool:
        """Flush and close every log and write the checkpoints; whether all went well.

        Nothing may be appended any more.
        """
        async with self._busy:
            offsets = self._offsets()
            closed = await self._close_all()
            try:
                self._write(offsets, closed)
            except OSError as error:
                _log.error("checkpoint not written", extra={"error": str(error)})
                closed = False
            return closed and not self._offline

    async def _close_all(self) -> bool:
        partitions = list(self._open.values())
        self._open.clear()
        self._by_handle.clear()
        try:
            await self._engine.close_partitions(partitions, delete=False)
        except EngineError as error:
            _log.error("logs not closed", extra={"error": str(error)})
            return False
        return True


def _make_folders(folder: DataFolder, specs: Iterable[PartitionSpec]) -> None:
    """Make the folders that are missing; one of another topic is kept, under another name."""
    for spec in specs:
        try:
            make_log_folder(spec.folder, spec.topic_id)
        except FileExistsError:
            path = Path(spec.folder)
            if read_topic_id(path) not in (None, spec.topic_id):
                target = folder.set_aside(path)
                _log.warning("log of another topic set aside", extra={"folder": str(target)})
                make_log_folder(spec.folder, spec.topic_id)
