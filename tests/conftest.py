"""Fixtures for every test: the broker under test, one for all tests of a process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tests.support.broker import BrokerProcess, running_broker


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of the broker that all tests of this process share."""
    address = running_broker()
    if address is not None:
        yield address
        return
    broker = BrokerProcess(tmp_path_factory.mktemp("broker") / "data")
    broker.start()
    yield broker.address
    assert broker.terminate() == 0


@pytest.fixture
def unique() -> str:
    """A name for topics and groups that no other test uses, on a shared broker too."""
    return f"t-{uuid.uuid4().hex[:12]}"
