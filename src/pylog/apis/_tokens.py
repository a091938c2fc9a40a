"""Delegation tokens (KIP-48): why nobody is given one.

The four keys answer as Kafka's do where ``delegation.token.secret.key`` is not set.
"""

from __future__ import annotations

from typing import Final

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ErrorCode

NEVER_MS: Final = -1


def why_not(context: RequestContext) -> ErrorCode:
    """Who has not authenticated may not even ask; to others, tokens are switched off."""
    if context.broker.gate.authentication(context.session, context.listener) is None:
        return ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
    return ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED
