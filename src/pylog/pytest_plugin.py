"""The pytest fixture ``pylog_broker``: a fresh broker for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pylog.testing import Broker


@pytest.fixture
def pylog_broker() -> Iterator[Broker]:
    """A running broker; its address is ``pylog_broker.bootstrap``."""
    from pylog.testing import Broker

    with Broker() as broker:
        yield broker
