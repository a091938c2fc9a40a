"""`pylog log verify` on the files of a broker that is at work, or was killed."""

from __future__ import annotations

from pathlib import Path

from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.load import IdempotentLoad, TransactionalLoad, create_topic, end_and_check
from tests.support.wait import wait_until

from pylog.log.verify_folder import FolderCheck


def findings(data_dir: Path) -> list[str]:
    return [str(finding) for finding in FolderCheck(data_dir).run()]


def await_progress(plain: IdempotentLoad, transactions: TransactionalLoad) -> None:
    records, commits = len(plain.acknowledged), len(transactions.committed)
    wait_until(lambda: len(plain.acknowledged) > records and len(transactions.committed) > commits)


def test_files_are_right_beside_a_broker_and_after_a_kill(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    broker = BrokerProcess(data_dir, QUICK_GROUPS)
    broker.start()
    for topic in ("plain", "transactions"):
        create_topic(broker.address, topic, **{"internal.segment.bytes": "65536"})
    plain = IdempotentLoad(broker.address, "plain")
    transactions = TransactionalLoad(broker.address, "transactions")
    for _ in range(3):
        for _ in range(3):
            assert findings(data_dir) == []
            await_progress(plain, transactions)
        broker.kill()
        assert findings(data_dir) == []
        broker.start()
        await_progress(plain, transactions)
    end_and_check([plain, transactions])
    assert broker.terminate() == 0
    assert findings(data_dir) == []
