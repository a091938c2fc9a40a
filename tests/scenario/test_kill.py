"""A broker that is killed or paused under load: no acknowledged record is lost, none comes twice.

`PYLOG_TEST_KILLS` says how often it is killed; some hundred make a long run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.load import (
    AnyLoad,
    IdempotentLoad,
    TransactionalLoad,
    Watcher,
    await_commit,
    create_topic,
    end_and_check,
)

KILLS = int(os.environ.get("PYLOG_TEST_KILLS", "12"))
DURABILITIES = ("fsync", "os")


@pytest.fixture
def broker(tmp_path: Path, durability: str) -> Iterator[BrokerProcess]:
    settings = {
        **QUICK_GROUPS,
        "log.durability": durability,
        "log.flush.offset.checkpoint.interval.ms": "300",  # recovery points in the middle of logs
        "transaction.state.log.num.partitions": "2",
    }
    broker = BrokerProcess(tmp_path / "data", settings)
    broker.start()
    yield broker
    if broker.is_running():
        assert broker.terminate() == 0


@pytest.fixture
def loads(broker: BrokerProcess) -> Iterator[list[AnyLoad]]:
    """Both kinds of producers, a topic each, of small segments, and somebody who reads them; and
    one of large batches, which are written by workers."""
    for topic in ("plain", "transactions"):
        create_topic(broker.address, topic, **{"internal.segment.bytes": "65536"})
    create_topic(broker.address, "large", **{"segment.bytes": "1048576"})
    loads: list[AnyLoad] = [
        IdempotentLoad(broker.address, "plain"),
        Watcher(broker.address, "plain"),
        TransactionalLoad(broker.address, "transactions"),
        Watcher(broker.address, "transactions"),
        IdempotentLoad(broker.address, "large", value_bytes=100_000, pause_s=0.05),
    ]
    yield loads
    for load in loads:
        load.cancel()


@pytest.mark.parametrize("durability", DURABILITIES)
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(
    broker: BrokerProcess, loads: list[AnyLoad]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    transactions = loads[2]
    assert isinstance(transactions, TransactionalLoad)
    for kill in range(KILLS):
        if kill % 2:  # else the broker dies again while clients still look for it
            await_commit(transactions)
        time.sleep(dice.uniform(0.05, 0.5))  # the moment of a kill is anyone's guess
        broker.kill()
        broker.start()
    end_and_check(loads)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_paused_broker_answers_each_request_once(
    broker: BrokerProcess, loads: list[AnyLoad]
) -> None:
    """Clients give up, connect anew and send again what the broker still finds in its sockets."""
    for pause_s in (0.2, 2.5, 0.5, 4.5):  # above and below the clients' time-out of 2 s
        os.kill(broker.pid, signal.SIGSTOP)
        time.sleep(pause_s)
        os.kill(broker.pid, signal.SIGCONT)
        time.sleep(0.5)
    end_and_check(loads)
