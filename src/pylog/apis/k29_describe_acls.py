"""DescribeAcls: the rules that a filter matches (KIP-140).

Behaviour
    The pattern type MATCH finds all rules that hold for a resource of the name. Without an
    authorizer the answer is SECURITY_DISABLED.
Version notes
    1  the lowest served: pattern types (KIP-290); 3 users as resources (KIP-373)
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from pylog.apis.context import RequestContext
from pylog.protocol.messages.describe_acls import (
    AclDescription,
    DescribeAclsRequest,
    DescribeAclsResource,
    DescribeAclsResponse,
)
from pylog.security.acl import Acl, AclFilter


async def handle(request: DescribeAclsRequest, context: RequestContext) -> DescribeAclsResponse:
    acls = context.broker.acls
    acls.check_enabled()
    found = acls.find(
        AclFilter(
            request.resource_type_filter,
            request.resource_name_filter,
            request.pattern_type_filter,
            request.principal_filter,
            request.host_filter,
            request.operation,
            request.permission_type,
        )
    )
    return DescribeAclsResponse(error_message=None, resources=_by_resource(sorted(found)))


def _by_resource(acls: Iterable[Acl]) -> list[DescribeAclsResource]:
    return [
        DescribeAclsResource(
            resource_type=kind,
            resource_name=name,
            pattern_type=pattern,
            acls=[
                AclDescription(
                    principal=acl.principal,
                    host=acl.host,
                    operation=acl.operation,
                    permission_type=acl.permission,
                )
                for acl in rules
            ],
        )
        for (kind, name, pattern), rules in groupby(acls, key=lambda acl: acl[:3])
    ]
