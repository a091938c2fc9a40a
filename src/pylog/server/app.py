"""The life of a broker process: settings, start, signals, stop, exit code."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence

from pylog.config import BrokerConfig, ConfigError, from_environment, from_file, from_pairs
from pylog.log.layout import FolderTaken, WrongFolder
from pylog.options import BROKER
from pylog.server.broker import Broker, CannotListen
from pylog.server.listeners import format_host_port, parse_host_port
from pylog.server.logs import configure_logging

_log = logging.getLogger(__name__)


class Exit(enum.IntEnum):
    """Exit codes of ``pylog serve``. 2 is also that of a wrong command line."""

    OK = 0
    FAILED = 1  # something unforeseen; the log on stderr says more
    WRONG_SETTING = 2
    CANNOT_LISTEN = 3  # the port is taken, or the address is not of this host
    FOLDER_TAKEN = 4  # another broker uses the data folder
    FOLDER_UNUSABLE = 5  # not writable, full, or of another broker or cluster


def load_config(
    *,
    data_dir: str | None = None,
    listen: str | None = None,
    file: str | None = None,
    pairs: Sequence[str] = (),
) -> BrokerConfig:
    """The settings of a broker: file, under environment, under command line. ConfigError."""
    texts = from_file(file) if file else {}
    texts |= from_environment(BROKER, os.environ)
    texts |= from_pairs(pairs)
    if data_dir is not None:
        texts["log.dirs"] = data_dir
    if listen is not None:
        texts["listeners"] = f"PLAINTEXT://{format_host_port(*parse_host_port(listen))}"
    return BrokerConfig(BROKER, texts)


def serve(config: BrokerConfig, log_level: str) -> Exit:
    """Run a broker until SIGTERM or SIGINT."""
    configure_logging(log_level)
    _take_all_descriptors()
    try:
        return asyncio.run(_serve(Broker(config)))
    except ConfigError as error:
        return fail(Exit.WRONG_SETTING, str(error))
    except CannotListen as error:
        return fail(Exit.CANNOT_LISTEN, str(error))
    except FolderTaken as error:
        return fail(Exit.FOLDER_TAKEN, str(error))
    except (WrongFolder, OSError) as error:
        return fail(Exit.FOLDER_UNUSABLE, str(error))


def _take_all_descriptors() -> None:
    """Connections and segments need them; shells often give a process 1,024 of what it may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def fail(code: Exit, reason: str) -> Exit:
    """One line on stderr."""
    print(f"pylog: {reason}", file=sys.stderr)
    return code


async def _serve(broker: Broker) -> Exit:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await broker.start()
    for endpoint in broker.endpoints:
        print(f"pylog: listening on {format_host_port(endpoint.host, endpoint.port)}", flush=True)
    failed = asyncio.create_task(broker.failed())
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([failed, stopped], return_when=asyncio.FIRST_COMPLETED)
    reason = failed.result() if failed.done() else None
    failed.cancel()
    _log.info("stopping")
    await broker.stop()
    return Exit.OK if reason is None else fail(Exit.FOLDER_UNUSABLE, reason)
