"""Refusals of the protocol."""

from __future__ import annotations

from pylog.protocol.error_codes import RETRIABLE, ErrorCode

__all__ = ["RETRIABLE", "ApiError", "ErrorCode"]


class ApiError(Exception):
    """A request, or one part of it, is refused with ``code``; ``message`` is for people."""

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.code.name if self.message is None else f"{self.code.name}: {self.message}"
