"""A broker for the tests of a file, and a connection of bare messages to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.wire import Wire

from pylog.testing import Broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    with Wire(broker.bootstrap) as wire:
        yield wire
