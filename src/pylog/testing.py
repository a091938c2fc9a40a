"""A broker inside a test::

    with Broker() as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap})

or ``async with Broker() as broker``. It runs on a thread of its own, on a free port, and keeps its
data in a temporary folder that goes away with it. The pytest fixture ``pylog_broker`` gives one.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from pylog.config import BrokerConfig
from pylog.options import BROKER
from pylog.server.broker import Broker as Server

# What a test wants from a broker that is used for a moment.
QUICK: Final[Mapping[str, str]] = {
    "log.durability": "os",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
}


class Broker:
    """A broker for tests, of one listener on 127.0.0.1.

    ``settings`` are Kafka's names and text values, over those of :data:`QUICK`; ``folder`` keeps
    the data there instead of a temporary folder; ``port`` 0 takes a free one.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        folder: str | Path | None = None,
        port: int = 0,
    ) -> None:
        self._settings = {**QUICK, **(settings or {})}
        self._given_folder = folder
        self._port = port
        self._thread: threading.Thread | None = None

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:PORT``, for ``bootstrap.servers``."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> Broker:
        """Run; returns when clients are served. What keeps the broker from starting is raised."""
        if self._given_folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="pylog-"))
        else:
            self.folder = Path(self._given_folder)
        self._launch()
        return self

    def stop(self) -> None:
        """Stop as on SIGTERM, and remove a temporary folder. Idempotent."""
        self._halt()
        if self._given_folder is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """Stop, and start again with the same data on the same port."""
        self._halt()
        self._launch()

    def _launch(self) -> None:
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pylog-broker", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure

    def _halt(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        place = {
            "log.dirs": str(self.folder),
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
        }
        self.server = Server(BrokerConfig(BROKER, place | self._settings))
        await self.server.start()
        self._port = self.server.endpoints[0].port
        self._started.set()
        await self._stopping.wait()
        await self.server.stop()

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Broker:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)
