"""DescribeUserScramCredentials: which mechanisms users have credentials for (KIP-554).

Behaviour
    No users, or none named, stands for all. What a credential is made of is not told.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.describe_user_scram_credentials import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)


async def handle(
    request: DescribeUserScramCredentialsRequest, context: RequestContext
) -> DescribeUserScramCredentialsResponse:
    names = None if request.users is None else [user.name for user in request.users]
    found = context.broker.users.describe(names)
    return DescribeUserScramCredentialsResponse(
        error_message=None, results=[_result(user, item) for user, item in found.items()]
    )


def _result(
    user: str, found: list[tuple[int, int]] | ApiError
) -> DescribeUserScramCredentialsResult:
    if isinstance(found, ApiError):
        return DescribeUserScramCredentialsResult(
            user=user, error_code=found.code, error_message=found.message
        )
    infos = [CredentialInfo(mechanism=kind, iterations=count) for kind, count in found]
    return DescribeUserScramCredentialsResult(user=user, error_message=None, credential_infos=infos)
