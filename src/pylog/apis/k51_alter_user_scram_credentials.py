"""AlterUserScramCredentials: set and delete what users authenticate with by SCRAM (KIP-554).

Behaviour
    The client has salted and hashed the password: the broker never sees it. All users that are in
    order are altered in one commit; one that is named twice is refused. Connections that are
    authenticated stay so.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.cluster.users import Deletion, Upsertion
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
)


async def handle(
    request: AlterUserScramCredentialsRequest, context: RequestContext
) -> AlterUserScramCredentialsResponse:
    results = await context.broker.users.alter(
        [Deletion(item.name, item.mechanism) for item in request.deletions],
        [
            Upsertion(
                item.name,
                item.mechanism,
                item.iterations,
                bytes(item.salt),
                bytes(item.salted_password),
            )
            for item in request.upsertions
        ],
    )
    return AlterUserScramCredentialsResponse(
        results=[_result(user, error) for user, error in results.items()]
    )


def _result(user: str, error: ApiError | None) -> AlterUserScramCredentialsResult:
    if error is None:
        return AlterUserScramCredentialsResult(user=user, error_message=None)
    return AlterUserScramCredentialsResult(
        user=user, error_code=error.code, error_message=error.message
    )


def refuse(
    request: AlterUserScramCredentialsRequest, error: ApiError
) -> AlterUserScramCredentialsResponse:
    names = {item.name for item in request.deletions}
    names |= {item.name for item in request.upsertions}
    return AlterUserScramCredentialsResponse(
        results=[_result(name, error) for name in sorted(names)]
    )
