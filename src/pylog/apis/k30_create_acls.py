"""CreateAcls: make rules of access control (KIP-140).

Behaviour
    All rules that are in order are made in one commit, and hold when the answer leaves; one that
    is there already is no error. Without an authorizer each result is SECURITY_DISABLED.
Version notes
    1  the lowest served: pattern types (KIP-290); 3 users as resources (KIP-373)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.create_acls import (
    AclCreationResult,
    CreateAclsRequest,
    CreateAclsResponse,
)
from pylog.security.acl import Acl


async def handle(request: CreateAclsRequest, context: RequestContext) -> CreateAclsResponse:
    context.broker.acls.check_enabled()
    results = await context.broker.acls.create(
        [
            Acl(
                item.resource_type,
                item.resource_name,
                item.resource_pattern_type,
                item.principal,
                item.host,
                item.operation,
                item.permission_type,
            )
            for item in request.creations
        ]
    )
    return CreateAclsResponse(results=[_result(error) for error in results])


def _result(error: ApiError | None) -> AclCreationResult:
    if error is None:
        return AclCreationResult(error_message=None)
    return AclCreationResult(error_code=error.code, error_message=error.message)


def refuse(request: CreateAclsRequest, error: ApiError) -> CreateAclsResponse:
    return CreateAclsResponse(results=[_result(error) for _ in request.creations])
