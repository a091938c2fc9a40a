"""Structured logs on stderr: one line a record, ``time level logger message key=value ...``."""

from __future__ import annotations

import logging
import time
from typing import Final

_STANDARD: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)) | {"message": "", "asctime": ""}
)
LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class KeyValueFormatter(logging.Formatter):
    """What is given as ``extra`` follows the message as ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = f"{at}.{int(record.msecs):03d}Z {record.levelname.lower()} {record.name}"
        pairs = [
            f"{key}={_quoted(value)}" for key, value in vars(record).items() if key not in _STANDARD
        ]
        line = " ".join([head, record.getMessage(), *pairs])
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _quoted(value: object) -> str:
    text = str(value)
    if not text or any(character in text for character in ' "=\n'):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return text


def configure_logging(level: str) -> None:
    """Send the records of this process to stderr, from ``level`` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
