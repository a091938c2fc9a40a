"""SaslAuthenticate: one token of the mechanism that SaslHandshake has chosen (KIP-152).

Behaviour
    A connection that fails is answered with SASL_AUTHENTICATION_FAILED, and closed after
    connection.failed.authentication.delay.ms.
Version notes
    1  the answer tells for how long the connection is authenticated (KIP-368)
    2  flexible (KIP-482)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)


async def handle(
    request: SaslAuthenticateRequest, context: RequestContext
) -> SaslAuthenticateResponse:
    gate = context.broker.gate
    if gate.authentication(context.session, context.listener) is None:
        raise ApiError(ErrorCode.ILLEGAL_SASL_STATE)
    try:
        outcome = gate.take_token(context.session, context.connection, bytes(request.auth_bytes))
    except ApiError:
        gate.turn_away(context.connection)
        raise
    return SaslAuthenticateResponse(
        error_message=None, auth_bytes=outcome.token, session_lifetime_ms=outcome.lifetime_ms
    )
