"""RenewDelegationToken: let a token live longer (KIP-48). There are none.

Version notes
    1  the lowest served
    2  flexible (KIP-482)
"""

from __future__ import annotations

from pylog.apis._tokens import NEVER_MS, why_not
from pylog.apis.context import RequestContext
from pylog.protocol.messages.renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)


async def handle(
    request: RenewDelegationTokenRequest, context: RequestContext
) -> RenewDelegationTokenResponse:
    return RenewDelegationTokenResponse(error_code=why_not(context), expiry_timestamp_ms=NEVER_MS)
