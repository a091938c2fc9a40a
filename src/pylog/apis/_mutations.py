"""What changes of topics and partitions share: their time, and their quota (KIP-599)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode


def is_too_late(timeout_ms: int) -> bool:
    """Whether a change is over before it begins: nothing is done, and nothing is looked at."""
    return timeout_ms <= 0


def too_late() -> ApiError:
    return ApiError(ErrorCode.REQUEST_TIMED_OUT, "A change takes more time than none.")


def charge(context: RequestContext, mutations: int, *, strict_from: int) -> None:
    """Charge partitions to the client, which is muted when that is above its quota.

    Clients from the version ``strict_from`` on know THROTTLING_QUOTA_EXCEEDED and get it for what
    they ask beyond; older ones are served, and wait.
    """
    quota, user = context.broker.mutations, context.user
    client_id = context.client_id or ""
    strict = context.version >= strict_from
    try:
        wait_ms = quota.charge(user, client_id, mutations, strict=strict)
    except ApiError:
        wait_ms = quota.wait(user, client_id)
        raise
    finally:
        context.throttle_ms = max(context.throttle_ms, wait_ms)
