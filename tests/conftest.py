"""Fixtures for every test: the broker under test, one for all tests of a process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.support.api_versions import served_keys
from tests.support.broker import BrokerProcess, running_broker

# How long an example takes says more of the machine than of the code.
settings.register_profile("pylog", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pylog")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs_apis(*keys): runs only where the broker's ApiVersions has these keys"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Other people's clients, brokers and installers run in these tests, and can fail on their own
    account: such a test is tried again once, and the summary names it (-rR)."""
    for item in items:
        if item.path.parent.name in ("clients", "package", "scenario"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess | None]:
    """The pylog that all tests of this process share; None where another broker was named."""
    if running_broker() is not None:
        yield None
        return
    broker = BrokerProcess(tmp_path_factory.mktemp("broker") / "data")
    broker.start()
    yield broker
    assert broker.terminate() == 0


@pytest.fixture(scope="session")
def bootstrap(own_broker: BrokerProcess | None) -> str:
    """HOST:PORT of the broker under test."""
    return own_broker.address if own_broker is not None else running_broker() or ""


@pytest.fixture
def data_dir(own_broker: BrokerProcess | None) -> Path:
    """The data directory of the broker under test, which must be our own process for that."""
    if own_broker is None:
        pytest.skip("the files of a broker that runs already are not ours to read")
    return own_broker.data_dir


@pytest.fixture(scope="session")
def keys_served(bootstrap: str) -> frozenset[int]:
    return served_keys(bootstrap)


@pytest.fixture(autouse=True)
def _needed_apis(request: pytest.FixtureRequest) -> None:
    """Holds tests marked needs_apis back from a broker that does not tell those keys."""
    marker = request.node.get_closest_marker("needs_apis")
    if marker is None:
        return
    missing = set(marker.args) - request.getfixturevalue("keys_served")
    if missing:
        pytest.skip(f"the broker does not serve the keys {sorted(missing)}")


@pytest.fixture
def unique() -> str:
    """A name for topics and groups that no other test uses, on a shared broker too."""
    return f"t-{uuid.uuid4().hex[:12]}"
