"""GetTelemetrySubscriptions: tell a client which metrics to push, how often and how packed.

Behaviour
    A client without an id is given one. Who asks again before its interval is over gets
    THROTTLING_QUOTA_EXCEEDED, unless the subscriptions have changed, or a push has just told it to
    ask. Without a subscription that applies, no metrics are asked for.
Not done
    A subscription that asks for ``client_source_port`` applies to nobody: ports are not kept.
"""

from __future__ import annotations

import time

from pylog.apis.context import RequestContext
from pylog.protocol.messages.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from pylog.telemetry.clients import ACCEPTED_COMPRESSION


async def handle(
    request: GetTelemetrySubscriptionsRequest, context: RequestContext
) -> GetTelemetrySubscriptionsResponse:
    clients = context.broker.client_metrics
    asked = clients.ask(request.client_instance_id, context.identity, time.monotonic() * 1000)
    return GetTelemetrySubscriptionsResponse(
        client_instance_id=asked.instance_id,
        subscription_id=asked.subscription_id,
        accepted_compression_types=list(ACCEPTED_COMPRESSION),
        push_interval_ms=asked.interval_ms,
        telemetry_max_bytes=clients.max_bytes,
        delta_temporality=True,
        requested_metrics=list(asked.metrics),
    )
