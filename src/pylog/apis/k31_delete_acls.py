"""DeleteAcls: delete the rules that filters match (KIP-140).

Behaviour
    All is deleted in one commit; each filter is answered with what it has matched. Without an
    authorizer each result is SECURITY_DISABLED.
Version notes
    1  the lowest served: pattern types (KIP-290); 3 users as resources (KIP-373)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.delete_acls import (
    DeleteAclsFilterResult,
    DeleteAclsMatchingAcl,
    DeleteAclsRequest,
    DeleteAclsResponse,
)
from pylog.security.acl import Acl, AclFilter


async def handle(request: DeleteAclsRequest, context: RequestContext) -> DeleteAclsResponse:
    context.broker.acls.check_enabled()
    results = await context.broker.acls.delete(
        [
            AclFilter(
                item.resource_type_filter,
                item.resource_name_filter,
                item.pattern_type_filter,
                item.principal_filter,
                item.host_filter,
                item.operation,
                item.permission_type,
            )
            for item in request.filters
        ]
    )
    return DeleteAclsResponse(filter_results=[_result(found) for found in results])


def _result(found: list[Acl] | ApiError) -> DeleteAclsFilterResult:
    if isinstance(found, ApiError):
        return DeleteAclsFilterResult(error_code=found.code, error_message=found.message)
    return DeleteAclsFilterResult(
        error_message=None,
        matching_acls=[
            DeleteAclsMatchingAcl(
                error_message=None,
                resource_type=acl.resource_type,
                resource_name=acl.resource_name,
                pattern_type=acl.pattern_type,
                principal=acl.principal,
                host=acl.host,
                operation=acl.operation,
                permission_type=acl.permission,
            )
            for acl in found
        ],
    )


def refuse(request: DeleteAclsRequest, error: ApiError) -> DeleteAclsResponse:
    return DeleteAclsResponse(filter_results=[_result(error) for _ in request.filters])
