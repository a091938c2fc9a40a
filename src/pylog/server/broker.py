"""A broker: its services, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pylog.cluster.acls import Acls
from pylog.cluster.configs import ALL_BROKERS, Configs
from pylog.cluster.features import features_of_new_cluster
from pylog.cluster.image import (
    CLUSTER_KEY,
    INTERNAL_TOPICS,
    BrokerImage,
    Image,
    broker_key,
    encode,
    encode_broker,
)
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.partitions import LocalPartitions
from pylog.cluster.quotas import MutationQuota, Quotas, engine_rules
from pylog.cluster.sqlite_store import SqliteStore
from pylog.cluster.store import Store, Write
from pylog.cluster.topics import Topics
from pylog.cluster.users import Users
from pylog.config import BrokerConfig
from pylog.engine.engine import Engine
from pylog.engine.values import EngineOptions
from pylog.log.dirs import LogDirs
from pylog.log.layout import METADATA_STORE, DataFolder, WrongFolder
from pylog.log.settings import cleaner_settings
from pylog.server.access import Access
from pylog.server.dispatch import Dispatcher
from pylog.server.gate import Gate
from pylog.server.handlers import Handlers
from pylog.server.listeners import (
    Address,
    Endpoint,
    advertised_of,
    format_host_port,
    listeners_of,
    parse_host_port,
)

if TYPE_CHECKING:
    from pylog.coordinator.service import Coordinators
    from pylog.telemetry.clients import ClientMetrics

_log = logging.getLogger(__name__)

DRAIN_MS: Final = 2000
CHECKPOINT_INTERVAL: Final = "log.flush.offset.checkpoint.interval.ms"
_LEASE_S: Final = 10.0


class CannotListen(Exception):
    """A listener's address is taken or not ours."""


class Broker:
    """The services of one broker. Handlers reach them through ``context.broker``.

    ``config`` settings · ``dirs`` data folders · ``engine`` native engine · ``metadata`` the
    cluster's image · ``partitions`` open logs by topic and index · ``topics`` creation and deletion
    · ``configs`` alteration of settings · ``quotas`` alteration of quotas, ``mutations`` one of
    them at work ·
    ``coordinators`` groups, transactions, producer ids · ``client_metrics`` what clients push ·
    ``endpoints`` bound listeners by number
    """

    def __init__(self, config: BrokerConfig) -> None:
        """ConfigError when the settings don't fit together; nothing is opened yet."""
        self.config = config
        self.node_id = config.integer("node.id")
        self.endpoints: list[Endpoint] = listeners_of(config)
        self._advertised = advertised_of(config)
        self.handlers = Handlers()
        self.access = Access(config)
        self.gate = Gate(config, self.endpoints, self.access)
        self._background: list[asyncio.Task[None]] = []
        self._metrics: asyncio.Server | None = None

    # ---- start ----

    async def start(self) -> None:
        """Open everything, then serve. On an error nothing is left open.

        FolderTaken, WrongFolder, CannotListen, OSError.
        """
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        for option in self.config.without_effect:
            extra = {"setting": option.name, "why": option.no_effect}
            _log.warning("known to Kafka, no effect here", extra=extra)
        async with AsyncExitStack() as undo:
            self.dirs = LogDirs([Path(item) for item in self.config.items("log.dirs")])
            undo.callback(self.dirs.close)
            self._identity = self.dirs.identify(self.node_id)
            self.engine = Engine(_engine_options(self.config))
            undo.callback(self.engine.close)
            self.endpoints = [self._listen(*item) for item in enumerate(self.endpoints)]
            self.dirs.each(DataFolder.take_clean_mark)
            self.dirs.each(DataFolder.remove_deleted)
            self.store: Store = SqliteStore(self.dirs.first.path / METADATA_STORE)
            undo.push_async_callback(self.store.close)
            self.metadata = Metadata(self.store)
            await self.metadata.start()
            undo.push_async_callback(self.metadata.stop)
            self._require_own_cluster()
            await self._start_services()
            undo.pop_all()

    def _require_own_cluster(self) -> None:
        known, found = self.metadata.image.cluster_id, self._identity.cluster_id
        if known and known != found:
            path = self.dirs.first.path
            raise WrongFolder(f"{path} is of cluster {found}, its metadata of {known}")

    def _listen(self, number: int, endpoint: Endpoint) -> Endpoint:
        try:
            port = self.engine.listen(number, endpoint.host, endpoint.port)
        except OSError as error:
            where = format_host_port(endpoint.host, endpoint.port)
            raise CannotListen(f"can't listen on {where}: {error.strerror}") from error
        return endpoint._replace(port=port)

    async def _start_services(self) -> None:
        await self._register()
        self.access.open(self.engine)
        self.engine.configure_cleaner(cleaner_settings(self.config))
        self._follow_settings(Image(), self.metadata.image)
        self.metadata.listen(self._follow_settings)
        self.partitions = LocalPartitions(
            self.engine, self.dirs, self.config, self.metadata, self.store, self._fail
        )
        self.topics = Topics(self.metadata, self.partitions, self.config)
        self.configs = Configs(self.metadata, self.config)
        self.quotas = Quotas(self.metadata)
        self.users = Users(self.metadata)
        self.acls = Acls(self.metadata, enabled=self.access.enabled)
        self.mutations = MutationQuota(lambda: self.metadata.image)
        if not all(folder.clean for folder in self.dirs.online):
            await self.topics.begin_epochs(self.node_id)
        await self.partitions.start()
        if INTERNAL_TOPICS & self.metadata.image.topics.keys():
            _ = self.coordinators  # they load while the first clients connect
        self._dispatcher = Dispatcher(self, self.handlers)
        self.gate.open(self.engine, self.users, self.endpoints)
        self.engine.start(
            self._dispatcher.on_request,
            on_closed=self._on_connection_closed,
            on_opened=self.gate.take_stranger,
            on_offline=self.partitions.take_offline,
            on_uncleanable=self.partitions.note_uncleanable,
            on_verify=lambda request: self.coordinators.verifier.on_verify(request),
        )
        self._background = [asyncio.create_task(self._checkpoint_often(), name="checkpoints")]
        where = self.config.optional_text("metrics.listen")
        if where is not None:
            await self._serve_metrics(*parse_host_port(where))

    async def _serve_metrics(self, host: str, port: int) -> None:
        from pylog.server import metrics

        try:
            server = self._metrics = await metrics.serve(self, host, port)
        except OSError as error:
            where = format_host_port(host, port)
            raise CannotListen(f"can't listen on {where}: {error.strerror}") from error
        self.metrics_port = int(server.sockets[0].getsockname()[1])

    @property
    def requests_served(self) -> Mapping[int, tuple[int, int]]:
        """Requests of the control lane and the nanoseconds spent on them, by API key."""
        return self._dispatcher.served

    def _on_connection_closed(self, connection: int) -> None:
        self._dispatcher.on_closed(connection)
        if "coordinators" in self.__dict__:
            self.coordinators.share_groups.on_connection_closed(connection)

    @cached_property
    def coordinators(self) -> Coordinators:
        """Of groups and transactions. A broker that never had any does not pay for them."""
        from pylog.coordinator.service import Coordinators

        coordinators = Coordinators(self)
        coordinators.start()
        return coordinators

    async def _register(self) -> None:
        """Enter this broker into the image, and the cluster itself when it is new."""
        lease = await self.store.grant_lease(_LEASE_S)
        me = broker_key(self.node_id)
        listeners = {item.name: self._told(item) for item in self.endpoints}

        def plan(image: Image) -> Proposal:
            value = encode_broker(listeners, self.config.optional_text("broker.rack"))
            writes = [Write(me, value, image.version(me), lease)]
            if not image.cluster_id:
                writes.append(Write(CLUSTER_KEY, encode({"id": self._identity.cluster_id}), 0))
                writes += features_of_new_cluster(image, self.config)
            return Proposal(writes)

        await self.metadata.propose(plan)

    def _told(self, endpoint: Endpoint) -> Address:
        """What other brokers and their clients are told about a listener of this one."""
        told = self._advertised.get(endpoint.name, endpoint)
        host = socket.gethostname() if told.every_interface else told.host
        return host, told.port or endpoint.port

    def _follow_settings(self, before: Image, after: Image) -> None:
        self.access.follow(before, after)
        if before.configs is not after.configs:
            self.config.set_dynamic(
                after.config("broker", str(self.node_id)), after.config("broker", ALL_BROKERS)
            )
            metrics = after.configs_of("client-metrics")
            if before.configs_of("client-metrics") != metrics:
                self.client_metrics.configure(metrics)
            self.engine.configure_cleaner(cleaner_settings(self.config))
        if before.quotas is not after.quotas:
            self.engine.set_quotas(engine_rules(after.quotas))

    # ---- serve ----

    @cached_property
    def client_metrics(self) -> ClientMetrics:
        """Metrics that clients push; imported when the first of them asks, or is to be asked."""
        from pylog.telemetry.clients import ClientMetrics

        return ClientMetrics(self.config.integer("telemetry.max.bytes"))

    @property
    def cluster_id(self) -> str:
        """22 characters, as Kafka writes them."""
        return self.metadata.image.cluster_id

    def address_of(self, broker: BrokerImage, listener: str, reached: str) -> Address | None:
        """Where a client of a listener finds a broker; None when it has no such listener.

        ``reached`` is the address at which the client has found this broker: the one it is told
        when the settings name no host.
        """
        address = broker.listeners.get(listener)
        if address is None or broker.broker_id != self.node_id:
            return address
        endpoint = next(item for item in self.endpoints if item.name == listener)
        if self._advertised.get(listener, endpoint).every_interface and reached:
            return reached, address[1]
        return address

    async def _checkpoint_often(self) -> None:
        while True:
            await asyncio.sleep(self.config.integer(CHECKPOINT_INTERVAL) / 1000)
            await self.partitions.checkpoint()
            await self.partitions.retry()

    def _fail(self, reason: str) -> None:
        if not self._failure.done():
            self._failure.set_result(reason)

    async def failed(self) -> str:
        """Wait until the broker can't go on; what has happened."""
        return await asyncio.shield(self._failure)

    # ---- stop ----

    async def stop(self) -> None:
        """Answer what is in flight, flush and close every log, and let go of the folder."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._metrics is not None:
            self._metrics.close()
        if "coordinators" in vars(self):
            await self.coordinators.stop()
        await self.engine.stop(DRAIN_MS)
        await self._dispatcher.finish()
        clean = await self.partitions.stop()
        self._failure.cancel()
        await self.metadata.stop()
        await self.store.close()
        self.engine.close()
        for folder in clean:
            _leave_clean_mark(folder)
        self.dirs.close()


def _leave_clean_mark(folder: DataFolder) -> None:
    try:
        folder.leave_clean_mark()
    except OSError as error:  # the next start scans what it need not
        _log.error("clean end not noted", extra={"error": str(error)})


def _engine_options(config: BrokerConfig) -> EngineOptions:
    return EngineOptions(
        node_id=config.integer("node.id"),
        worker_threads=config.integer("background.threads"),
        max_connections=config.integer("max.connections"),
        max_frame_bytes=config.integer("socket.request.max.bytes"),
        fetch_max_bytes=config.integer("fetch.max.bytes"),
        fetch_session_slots=config.integer("max.incremental.fetch.session.cache.slots"),
        send_buffer_bytes=config.integer("socket.send.buffer.bytes"),
        receive_buffer_bytes=config.integer("socket.receive.buffer.bytes"),
        idle_timeout_ms=config.integer("connections.max.idle.ms"),
        housekeep_interval_ms=config.integer("log.retention.check.interval.ms"),
    )
