"""The rules of access control in the cluster's metadata: made, found, deleted."""

from __future__ import annotations

from collections.abc import Sequence

from pylog.cluster.image import Image, acl_key, encode
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.store import Write
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.security.acl import (
    CLUSTER_NAME,
    Acl,
    AclFilter,
    PatternType,
    Permission,
    ResourceType,
)
from pylog.security.operations import Operation


class Acls:
    """Alters and finds rules; all brokers follow through the image."""

    def __init__(self, metadata: Metadata, *, enabled: bool) -> None:
        self._metadata = metadata
        self._enabled = enabled

    def check_enabled(self) -> None:
        """SECURITY_DISABLED when access is not controlled."""
        if not self._enabled:
            raise ApiError(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured.")

    def find(self, wanted: AclFilter) -> list[Acl]:
        """The rules that a filter matches. INVALID_REQUEST."""
        _check_filter(wanted)
        return [acl for acl in self._metadata.image.acls if wanted.matches(acl)]

    async def create(self, acls: Sequence[Acl]) -> list[ApiError | None]:
        """Make rules in one commit; a result for each. What is there already is made."""
        results = [_error_of(acl) for acl in acls]
        made = {acl for acl, error in zip(acls, results, strict=True) if error is None}

        def plan(image: Image) -> Proposal:
            return Proposal(
                [Write(acl_key(acl), encode(1), 0) for acl in sorted(made) if acl not in image.acls]
            )

        await self._metadata.propose(plan)
        return results

    async def delete(self, filters: Sequence[AclFilter]) -> list[list[Acl] | ApiError]:
        """Delete what filters match, in one commit; what each has matched."""
        results: list[list[Acl] | ApiError] = []

        def plan(image: Image) -> Proposal:
            results.clear()
            gone: set[Acl] = set()
            for wanted in filters:
                try:
                    found = self.find(wanted)
                except ApiError as error:
                    results.append(error)
                else:
                    results.append(found)
                    gone.update(found)
            keys = [acl_key(acl) for acl in sorted(gone)]
            return Proposal([Write(key, None, image.version(key)) for key in keys])

        await self._metadata.propose(plan)
        return results


def _invalid(reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, reason)


def _is_one(kind: type[ResourceType | PatternType | Permission | Operation], number: int) -> bool:
    return number in kind.__members__.values()


def _check_filter(wanted: AclFilter) -> None:
    for kind, number in (
        (ResourceType, wanted.resource_type),
        (PatternType, wanted.pattern_type),
        (Operation, wanted.operation),
        (Permission, wanted.permission),
    ):
        if not _is_one(kind, number):
            raise _invalid(f"The filter has an unknown {kind.__name__}.")


def _error_of(acl: Acl) -> ApiError | None:
    reason = None
    if acl.resource_type == ResourceType.ANY or not _is_one(ResourceType, acl.resource_type):
        reason = "Invalid resource type"
    elif acl.pattern_type not in (PatternType.LITERAL, PatternType.PREFIXED):
        reason = "Invalid pattern type"
    elif acl.operation == Operation.ANY or not _is_one(Operation, acl.operation):
        reason = "Invalid operation"
    elif acl.permission not in (Permission.ALLOW, Permission.DENY):
        reason = "Invalid permission type"
    elif not acl.resource_name:
        reason = "Invalid empty resource name"
    elif acl.resource_type == ResourceType.CLUSTER and acl.resource_name != CLUSTER_NAME:
        reason = f"The only valid name for the CLUSTER resource is {CLUSTER_NAME}"
    elif not all(acl.principal.partition(":")):
        reason = f"Could not parse principal from `{acl.principal}`"
    return None if reason is None else _invalid(reason)
