"""CreateDelegationToken: hand out a token to log in with (KIP-48). None is ever handed out.

Version notes
    1  the lowest served
    2  flexible (KIP-482)
    3  the token may be another's, and the answer tells who has asked (KIP-373)
Not done
    Delegation tokens are never handed out: the four keys say that they are switched off.
"""

from __future__ import annotations

from pylog.apis._tokens import NEVER_MS, why_not
from pylog.apis.context import RequestContext
from pylog.protocol.messages.create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
)


async def handle(
    request: CreateDelegationTokenRequest, context: RequestContext
) -> CreateDelegationTokenResponse:
    kind, _, name = context.principal.partition(":")
    response = CreateDelegationTokenResponse(
        error_code=why_not(context),
        principal_type=request.owner_principal_type or kind,
        principal_name=request.owner_principal_name or name,
        issue_timestamp_ms=NEVER_MS,
        expiry_timestamp_ms=NEVER_MS,
        max_timestamp_ms=NEVER_MS,
    )
    if context.version >= 3:
        response.token_requester_principal_type = kind
        response.token_requester_principal_name = name
    return response
