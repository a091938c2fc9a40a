"""PushTelemetry: metrics of a client, which become part of those of the broker.

Behaviour
    The payload is OpenTelemetry's MetricsData, perhaps compressed. The newest number of each
    gauge is kept, and the sum of each delta. After a push with ``terminating`` no other is taken.
"""

from __future__ import annotations

import time

from pylog.apis.context import RequestContext
from pylog.protocol.messages.push_telemetry import PushTelemetryRequest, PushTelemetryResponse


async def handle(request: PushTelemetryRequest, context: RequestContext) -> PushTelemetryResponse:
    context.broker.client_metrics.push(
        request.client_instance_id,
        request.subscription_id,
        context.identity,
        bytes(request.metrics),
        request.compression_type,
        terminating=request.terminating,
        now_ms=time.monotonic() * 1000,
    )
    return PushTelemetryResponse()
