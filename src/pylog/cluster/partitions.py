"""The partitions that this broker has: their logs are opened and closed as the image says."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pylog.cluster.image import INTERNAL_TOPICS, Image, TopicImage
from pylog.cluster.log_folders import NOWHERE, make_folders
from pylog.cluster.metadata import Metadata
from pylog.cluster.moves import Moves
from pylog.cluster.placement import Marks, Placement
from pylog.cluster.recovery import Recovery
from pylog.cluster.store import Store
from pylog.config import BrokerConfig
from pylog.engine.engine import Engine
from pylog.engine.partition import OpenedLog, Partition
from pylog.engine.values import EngineError, LogConfig, PartitionOffsets, PartitionSpec
from pylog.log.dirs import LogDirs
from pylog.log.layout import DataFolder, delete_log, read_topic_id, set_aside
from pylog.log.moving import LogCopy, end_move
from pylog.log.settings import log_config, spread_rolls
from pylog.options import TOPIC

_log = logging.getLogger(__name__)

Key = tuple[str, int]  # topic, partition
# How long a start waits for recovery before it serves: most is done by then, and who connects
# finds all of it.
_PATIENCE_S: Final = 1.0
_LACK_OF_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class _Broken(NamedTuple):
    """A log that could not be opened."""

    topic_id: bytes
    partition: Partition | None  # its place in the engine; None: it has none
    passing: bool  # it lacked space, or the like: worth another try


class LocalPartitions:
    """The registry of open partitions by topic and index.

    What a commit of the metadata has changed is noted at once; :meth:`reconcile` carries it out.
    ``on_failure`` is told when no data folder is left, or the one with the metadata is gone.
    """

    def __init__(
        self,
        engine: Engine,
        dirs: LogDirs,
        config: BrokerConfig,
        metadata: Metadata,
        store: Store,
        on_failure: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._dirs = dirs
        self._config = config
        self._metadata = metadata
        self._store = store
        self._on_failure = on_failure
        self._node_id = config.integer("node.id")
        self._placement = Placement(dirs)
        self._moves = Moves(self._switch)
        self._open: dict[Key, Partition] = {}
        self._by_topic: dict[str, dict[int, Partition]] = {}
        self._by_handle: dict[int, Partition] = {}
        self._broken: dict[Key, _Broken] = {}
        self._why_not: dict[Key, OSError] = {}  # there is no folder for a log
        self._offline: set[Key] = set()
        self._uncleanable: set[Key] = set()
        self._recovering: dict[Key, bytes] = {}  # topic ids
        self._withdrawn: list[Partition] = []  # were deleted before they were open
        self._changed: set[str] = set()
        self._probed: set[DataFolder] = set()
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

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

    def is_recovering(self, topic: str, index: int) -> bool:
        """Whether the log is still being opened after an end of the broker without order."""
        return (topic, index) in self._recovering

    @property
    def offline_count(self) -> int:
        """Logs that can't be used."""
        return len(self._offline)

    @property
    def recovering_count(self) -> int:
        """Logs that are still to be opened."""
        return len(self._recovering)

    def folder_of(self, topic: str, index: int) -> DataFolder | None:
        """The data folder that has a partition's log."""
        return self._placement.folder_of((topic, index))

    # ---- the start ----

    async def start(self) -> None:
        """Open every log that the image gives to this broker.

        Returns when those are open that were closed in order; the others may take longer.
        WrongFolder when two data folders have the same log.
        """
        image = self._metadata.image
        wanted = list(self._missing(image.topics.values()))
        names = {(topic.name, index) for topic, index in wanted}
        await self._placement.find(names, self._node_id, self._store)
        self._set_aside_strays(image)
        self._metadata.listen(self._note)
        specs = self._specs(wanted, new=False)
        clean = [spec for spec in specs if spec.clean_shutdown]
        unclean = [spec for spec in specs if not spec.clean_shutdown]
        if unclean:
            self._start_recovery(unclean)
        await self._open_specs(clean)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE_S)

    def _start_recovery(self, specs: list[PartitionSpec]) -> None:
        """Those of coordinators first: groups and transactions wait for them."""
        specs.sort(key=lambda spec: spec.topic not in INTERNAL_TOPICS)
        by_folder: dict[str, list[PartitionSpec]] = {}
        for spec in specs:
            by_folder.setdefault(os.path.dirname(spec.folder), []).append(spec)
        self._recovering = {(spec.topic, spec.partition): spec.topic_id for spec in specs}
        parallel = self._config.integer("num.recovery.threads.per.data.dir")
        for work in by_folder.values():
            self._begin(self._recover(work, parallel))

    async def _recover(self, specs: Sequence[PartitionSpec], parallel: int) -> None:
        made = await self._prepare(specs)
        await Recovery(self._engine, made, parallel, self._take).run()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("work on logs has failed", exc_info=task.exception())

    def _set_aside_strays(self, image: Image) -> None:
        for (name, index), folder in self._placement.all().items():
            topic = image.topics.get(name)
            path = folder.log_folder(name, index)
            if topic is not None and index < len(topic.partitions):
                found = read_topic_id(path)
                if found in (None, topic.topic_id):
                    continue
            target = set_aside(Path(path))
            self._placement.forget((name, index))
            _log.warning("log of no topic set aside", extra={"folder": str(target)})

    # ---- following the image ----

    def _note(self, before: Image, after: Image) -> None:
        if before.topics is not after.topics:
            names = before.topics.keys() | after.topics.keys()
            self._changed |= {
                name for name in names if before.topics.get(name) is not after.topics.get(name)
            }
            for key, topic_id in self._recovering.items():
                if not self._is_wanted(key, topic_id):
                    self._engine.withdraw_partition(topic_id, key[1])
        if before.configs is not after.configs:
            self._reconfigure(before, after)

    async def reconcile(self) -> None:
        """Open and close what the image has changed so far; returns when that is done."""
        async with self._busy:
            while self._changed:
                names, self._changed = self._changed, set()
                await self._close_unwanted(names)
                topics = self._metadata.image.topics
                missing = self._missing(topics[name] for name in names if name in topics)
                await self._open_specs(self._specs(missing, new=True))

    async def _close_unwanted(self, names: set[str]) -> None:
        unwanted = [
            partition
            for name in names
            for index, partition in self.of_topic(name).items()
            if not self._is_wanted((name, index), partition.topic_id)
        ]
        broken = [
            key
            for key, item in self._broken.items()
            if key[0] in names and not self._is_wanted(key, item.topic_id)
        ]
        for partition in unwanted:
            self._forget(partition)
        withdrawn, self._withdrawn = self._withdrawn, []
        try:
            await self._engine.close_partitions(unwanted + withdrawn, delete=True)
            await self._let_go_of(broken)
        except (EngineError, OSError) as error:  # the next start sets them aside
            _log.error("logs not deleted", extra={"error": str(error)})

    async def _let_go_of(self, keys: Iterable[Key], *, delete: bool = True) -> None:
        """Of logs that did not open: their places in the engine, and their files."""
        gone = [(key, self._broken.pop(key)) for key in keys]
        places = [item.partition for _, item in gone if item.partition is not None]
        await self._engine.close_partitions(places, delete=False)
        for key, _ in gone:
            self._offline.discard(key)
            folder = self._placement.folder_of(key)
            if delete and folder is not None:
                self._placement.forget(key)
                await asyncio.to_thread(delete_log, Path(folder.log_folder(*key)))

    def _is_wanted(self, key: Key, topic_id: bytes) -> bool:
        topic = self._metadata.image.topics.get(key[0])
        return (
            topic is not None
            and topic.topic_id == topic_id
            and key[1] < len(topic.partitions)
            and self._node_id in topic.partitions[key[1]].replicas
        )

    def _forget(self, partition: Partition) -> None:
        key = partition.topic, partition.partition
        self._take_out(partition)
        self._offline.discard(key)
        self._placement.forget(key)

    def _take_out(self, partition: Partition) -> None:
        key = partition.topic, partition.partition
        del self._open[key]
        del self._by_handle[partition.handle]
        self._uncleanable.discard(key)
        siblings = self._by_topic[partition.topic]
        del siblings[partition.partition]
        if not siblings:
            del self._by_topic[partition.topic]

    # ---- opening ----

    def _missing(self, topics: Iterable[TopicImage]) -> Iterator[tuple[TopicImage, int]]:
        for topic in topics:
            for index, state in enumerate(topic.partitions):
                key = topic.name, index
                known = key in self._open or key in self._recovering or key in self._broken
                if self._node_id in state.replicas and not known:
                    yield topic, index

    def _specs(
        self, partitions: Iterable[tuple[TopicImage, int]], *, new: bool
    ) -> list[PartitionSpec]:
        """How to open partitions. A log that is nowhere is made; but when it is not ``new`` and may
        be in a folder that can't be seen, it is offline."""
        specs = []
        settings: dict[str, tuple[LogConfig, int]] = {}
        for topic, index in partitions:
            key = topic.name, index
            folder = self._placement.folder_of(key)
            if folder is None and (new or not self._placement.incomplete):
                folder = self._placement.place(key)
            if topic.name not in settings:
                settings[topic.name] = self._settings(topic.name)
            marks = self._placement.marks_of(key)
            specs.append(
                PartitionSpec(
                    topic.name,
                    index,
                    topic.topic_id,
                    folder.log_folder(*key) if folder is not None else NOWHERE,
                    spread_rolls(*settings[topic.name], *key),
                    new or folder is None or folder.clean,
                    marks.recovery_point,
                    marks.log_start,
                    topic.partitions[index].leader_epoch,
                    marks.cleaned_end,
                )
            )
        return specs

    async def _open_specs(self, specs: Sequence[PartitionSpec]) -> None:
        await self._engine.open_partitions(await self._prepare(specs), on_opened=self._take)

    async def _prepare(self, specs: Sequence[PartitionSpec]) -> list[PartitionSpec]:
        """Make the folders that are missing. A log that can't have one is nowhere."""
        unfit = await self._drop_old_marks([(spec.topic, spec.partition) for spec in specs])
        made = await asyncio.to_thread(make_folders, specs, unfit)
        self._why_not |= unfit
        return made

    async def _drop_old_marks(self, keys: Iterable[Key]) -> dict[Key, OSError]:
        """Write checkpoints that speak of earlier logs of these names; those that still do."""
        stale: dict[DataFolder, list[Key]] = {}
        for key in keys:
            folder = self._placement.folder_of(key)
            if folder is not None and self._placement.has_old_marks(key, folder):
                stale.setdefault(folder, []).append(key)
        unfit = {}
        for folder, names in stale.items():
            try:
                await self._write_marks(folder)
            except OSError as error:
                unfit.update(dict.fromkeys(names, error))
        return unfit

    def _take(self, opened: OpenedLog) -> None:
        """A log is open, or could not be opened."""
        spec, partition = opened.spec, opened.partition
        key = spec.topic, spec.partition
        failed = opened.error is not None or partition is None
        if failed and self._stopping:
            return  # perhaps nobody has tried
        self._recovering.pop(key, None)
        if failed:
            self._break(key, opened)
            return
        assert partition is not None
        if not self._is_wanted(key, spec.topic_id):
            self._placement.forget(key)
            self._withdrawn.append(partition)
            self._changed.add(spec.topic)
            self._begin(self.reconcile())
            return
        self._compare(key, partition)
        self._open[key] = partition
        self._by_handle[partition.handle] = partition
        self._by_topic.setdefault(spec.topic, {})[spec.partition] = partition
        if self._placement.folder_of(key) not in self._dirs.online:  # has failed meanwhile
            self._engine.fail_partitions([partition])

    def _compare(self, key: Key, partition: Partition) -> None:
        """Tell when a log has lost what consumers may have read. The rest is served all the same:
        the high watermark of the only copy is where it ends."""
        before = self._placement.marks_of(key).high_watermark
        end = partition.offsets().log_end if before else 0
        if end < before:
            extra = {"log": f"{key[0]}-{key[1]}", "end": end, "high_watermark": before}
            _log.error("log ends below its high watermark: records are lost", extra=extra)

    def _break(self, key: Key, opened: OpenedLog) -> None:
        error = self._why_not.pop(key, None)
        passing = opened.passing or (error is not None and error.errno in _LACK_OF_SPACE)
        self._broken[key] = _Broken(opened.spec.topic_id, opened.partition, passing)
        self._offline.add(key)
        why = str(error or opened.error)
        _log.error("log not opened", extra={"log": f"{key[0]}-{key[1]}", "error": why})
        if not passing:
            self._probe(self._placement.folder_of(key))

    async def retry(self) -> None:
        """Open what could not be opened for lack of space, or the like."""
        async with self._busy:
            keys = [key for key, item in self._broken.items() if item.passing]
            await self._let_go_of(keys, delete=False)
            topics = self._metadata.image.topics
            found = [(topics[name], index) for name, index in keys if name in topics]
            if found:
                await self._open_specs(self._specs(found, new=False))

    # ---- settings ----

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

    # ---- failures ----

    def take_offline(self, handle: int) -> None:
        """Note that the log behind an engine handle has failed."""
        partition = self._by_handle.get(handle)
        if partition is not None:
            key = partition.topic, partition.partition
            self._offline.add(key)
            _log.error("log offline after a failed write", extra={"log": repr(partition)})
            self._probe(self._placement.folder_of(key))

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

    def _probe(self, folder: DataFolder | None) -> None:
        """See whether it is the log alone that has failed, or its data folder."""
        if folder in self._dirs.online and folder not in self._probed and not self._stopping:
            self._probed.add(folder)
            self._begin(self._try_folder(folder))

    async def _try_folder(self, folder: DataFolder) -> None:
        try:
            await asyncio.to_thread(folder.probe)
        except OSError as error:
            if error.errno not in _LACK_OF_SPACE:
                self._fail_folder(folder, error)
        finally:
            self._probed.discard(folder)

    def _fail_folder(self, folder: DataFolder, error: OSError) -> None:
        """Everything in the folder goes offline. The broker ends with the last or the first."""
        self._dirs.fail(folder, error)
        keys = self._placement.logs_of(folder)
        self._engine.fail_partitions([self._open[key] for key in keys if key in self._open])
        if folder is self._dirs.first or not self._dirs.online:
            self._on_failure(f"{folder.path} has failed: {error}")

    # ---- moves ----

    @property
    def moves(self) -> Moves:
        """Logs that are on their way to another data folder."""
        return self._moves

    def move(self, key: Key, target: DataFolder) -> None:
        """Begin to move an open log to another data folder; to its own: leave it there."""
        source = self._placement.folder_of(key)
        if source is None or source is target:
            self._moves.cancel(key)
        elif self._moves.targets.get(key) is not target:
            self._begin(self._moves.move(key, source, target))

    async def _switch(self, key: Key, target: DataFolder, copy: LogCopy) -> None:
        """Close a log, have the rest of it copied, and open it at its new place; or, when that
        fails, at the old one (OSError)."""
        async with self._busy:
            partition, source = self._open.get(key), self._placement.folder_of(key)
            if partition is None or source is None or key in self._offline or self._stopping:
                raise OSError(f"{key[0]}-{key[1]} is not open")
            marks = self._marks_of(source)[key]
            self._placement.put(key, source, marks)  # for checkpoints while it is closed
            self._take_out(partition)
            self._recovering[key] = partition.topic_id
            closed = await self._close_all([partition])
            try:
                if not closed or target not in self._dirs.online:
                    raise OSError(f"{key[0]}-{key[1]} can't be closed, or {target.path} has failed")
                await asyncio.to_thread(copy.catch_up, last=True)
                await self._write_marks(target, {key: marks})
                await asyncio.to_thread(copy.finish, source.directory_id)
                self._placement.put(key, target, marks)
            finally:
                topic = self._metadata.image.topics.get(key[0])
                specs = self._specs([(topic, key[1])] if topic is not None else [], new=False)
                await self._open_specs([spec._replace(clean_shutdown=closed) for spec in specs])
            await self._write_marks(target)  # another may have been under way before
            old, new = source.log_folder(*key), target.log_folder(*key)
            await asyncio.to_thread(end_move, Path(new), Path(old))

    # ---- checkpoints and the end ----

    async def checkpoint(self) -> None:
        """Write down what is flushed and where logs start; a folder that fails keeps the old."""
        for folder in list(self._dirs.online):
            try:
                await self._write_marks(folder)
            except OSError as error:
                _log.error("checkpoint not written", extra={"error": str(error)})
                self._probe(folder)

    async def _write_marks(
        self, folder: DataFolder, also: Mapping[Key, Marks] = MappingProxyType({})
    ) -> None:
        as_of, marks = self._placement.now(), {**self._marks_of(folder), **also}
        await asyncio.to_thread(self._placement.write_marks, folder, marks, as_of)

    def _marks_of(self, folder: DataFolder) -> dict[Key, Marks]:
        """Of logs that are not open, what the checkpoints had before."""
        marks = {}
        for key in self._placement.logs_of(folder):
            partition = self._open.get(key)
            if partition is None:
                marks[key] = self._placement.marks_of(key)
            else:
                marks[key] = _marks_at(partition.offsets())
        return marks

    async def stop(self) -> list[DataFolder]:
        """Flush and close every log and write the checkpoints; returns the folders where all went
        well.

        Nothing may be appended any more.
        """
        self._stopping = True
        self._moves.cancel_all()
        self._engine.cancel_openings()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._busy:
            return [folder for folder in self._dirs.online if await self._close_folder(folder)]

    async def _close_folder(self, folder: DataFolder) -> bool:
        keys = self._placement.logs_of(folder)
        marks = self._marks_of(folder)
        ends = {
            key: _marks_of_closed(self._open[key].offsets()) for key in keys if key in self._open
        }
        partitions = [self._open[key] for key in ends]
        for partition in partitions:
            self._take_out(partition)
        closed = await self._close_all(partitions)
        try:
            every = marks | ends if closed else marks
            self._placement.write_marks(folder, every, self._placement.now())
        except OSError as error:
            _log.error("checkpoint not written", extra={"error": str(error)})
            return False
        return (
            closed and self._offline.isdisjoint(keys) and self._recovering.keys().isdisjoint(keys)
        )

    async def _close_all(self, partitions: Sequence[Partition]) -> bool:
        try:
            await self._engine.close_partitions(partitions, delete=False)
        except EngineError as error:
            _log.error("logs not closed", extra={"error": str(error)})
            return False
        return True


def _marks_at(now: PartitionOffsets) -> Marks:
    return Marks(now.recovery_point, now.log_start, now.cleaned_end, now.high_watermark)


def _marks_of_closed(last: PartitionOffsets) -> Marks:
    """Everything is flushed, and committed, as there is no other copy."""
    return _marks_at(last)._replace(recovery_point=last.log_end, high_watermark=last.log_end)
