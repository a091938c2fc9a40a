"""SaslHandshake: choose a mechanism (KIP-43).

Behaviour
    On a listener without authentication it is refused with ILLEGAL_SASL_STATE. For a mechanism
    that is not enabled those that are enabled are told, and the connection is closed. On a
    connection that is authenticated it begins to authenticate again (KIP-368).
Version notes
    0  what follows are bare tokens
    1  what follows are requests of SaslAuthenticate (KIP-152)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse


async def handle(request: SaslHandshakeRequest, context: RequestContext) -> SaslHandshakeResponse:
    gate = context.broker.gate
    authentication = gate.authentication(context.session, context.listener)
    if authentication is None:
        return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE)
    response = SaslHandshakeResponse(mechanisms=list(gate.mechanism_names))
    try:
        authentication.handshake(request.mechanism)
    except ApiError as error:
        response.error_code = error.code
        gate.turn_away(context.connection)
    else:
        if context.version == 0:
            gate.expect_tokens(context.connection)
    return response
