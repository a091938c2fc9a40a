"""DescribeDelegationToken: the tokens of some owners (KIP-48). There are none.

Version notes
    1  the lowest served
    2  flexible (KIP-482)
    3  tells who has asked for a token (KIP-373)
"""

from __future__ import annotations

from pylog.apis._tokens import why_not
from pylog.apis.context import RequestContext
from pylog.protocol.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)


async def handle(
    request: DescribeDelegationTokenRequest, context: RequestContext
) -> DescribeDelegationTokenResponse:
    return DescribeDelegationTokenResponse(error_code=why_not(context))
