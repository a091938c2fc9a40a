"""WriteTxnMarkers: a transaction coordinator, or an admin, ends transactions on partitions here.

Version notes
    1 the lowest served; 2 tells the version of the transaction, which changes nothing here
"""

from __future__ import annotations

import asyncio

from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Marker
from pylog.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopic,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)


async def handle(
    request: WriteTxnMarkersRequest, context: RequestContext
) -> WriteTxnMarkersResponse:
    wanted = [_of_marker(marker, context) for marker in request.markers if marker.topics]
    results = await asyncio.gather(*wanted)
    return WriteTxnMarkersResponse(markers=list(results))


async def _of_marker(
    written: WritableTxnMarker, context: RequestContext
) -> WritableTxnMarkerResult:
    marker = Marker(
        written.producer_id,
        written.producer_epoch,
        written.coordinator_epoch,
        written.transaction_result,
    )
    topics = await asyncio.gather(*(_of_topic(t, marker, context) for t in written.topics))
    return WritableTxnMarkerResult(producer_id=written.producer_id, topics=list(topics))


async def _of_topic(
    topic: WritableTxnMarkerTopic, marker: Marker, context: RequestContext
) -> WritableTxnMarkerTopicResult:
    markers = context.broker.coordinators.markers
    codes = await asyncio.gather(
        *(markers.write((topic.name, index), marker) for index in topic.partition_indexes)
    )
    return WritableTxnMarkerTopicResult(
        name=topic.name,
        partitions=[
            WritableTxnMarkerPartitionResult(partition_index=index, error_code=code)
            for index, code in zip(topic.partition_indexes, codes, strict=True)
        ],
    )
