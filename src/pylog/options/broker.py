"""The settings of the broker, all of them."""

from __future__ import annotations

from typing import Final

from pylog.config import Table
from pylog.options import access, groups, inert, logs, server

BROKER: Final = Table(
    (*server.OPTIONS, *logs.OPTIONS, *groups.OPTIONS, *access.OPTIONS, *inert.BROKER)
)
