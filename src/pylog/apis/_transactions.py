"""What the handlers of transaction APIs have in common."""

from __future__ import annotations

from pylog.protocol.errors import ErrorCode


def told_to(version: int, fenced_since: int, code: ErrorCode) -> ErrorCode:
    """PRODUCER_FENCED for clients that know it, from some version on (KIP-588)."""
    if code == ErrorCode.PRODUCER_FENCED and version < fenced_since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code
