"""CreateTopics: make topics; they can be produced to when the answer leaves.

Behaviour
    All topics of a request that are in order are made in one commit; the others get their own
    error. A name that occurs twice is refused for both with INVALID_REQUEST.
Version notes
    2  the lowest served; 4 counts of -1 take the broker's defaults (KIP-464)
    5  the answer tells counts and settings (KIP-525); 7 the topic id (KIP-516)
Not done
    timeout_ms above 0: the answer waits for the commit, however long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pylog.apis._mutations import charge, is_too_late, too_late
from pylog.apis.context import RequestContext
from pylog.cluster.topics import CreatedTopic, NewTopic, duplicates
from pylog.config import Source
from pylog.options import TOPIC
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

_STRICT_FROM: Final = 6


async def handle(request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    if is_too_late(request.timeout_ms):
        names = dict.fromkeys(topic.name for topic in request.topics)
        return CreateTopicsResponse(topics=[_refuse(name, too_late()) for name in names])
    twice = duplicates([topic.name for topic in request.topics])
    answers = [
        _refuse(name, ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name."))
        for name in sorted(twice)
    ]
    once = []
    for topic in request.topics:
        if topic.name not in twice:
            try:
                _check_assignments(topic)
                _charge(topic, request.validate_only, context)
                once.append(topic)
            except ApiError as error:
                answers.append(_refuse(topic.name, error))
    results = await context.broker.topics.create(
        [_wanted(topic) for topic in once], validate_only=request.validate_only
    )
    for topic, result in zip(once, results, strict=True):
        if isinstance(result, ApiError):
            answers.append(_refuse(topic.name, result))
        else:
            answers.append(_describe(result, context))
    return CreateTopicsResponse(topics=answers)


def _check_assignments(topic: CreatableTopic) -> None:
    indexes = [item.partition_index for item in topic.assignments]
    if len(set(indexes)) != len(indexes):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "A partition is assigned more than once."
        )


def _charge(topic: CreatableTopic, validate_only: bool, context: RequestContext) -> None:
    broker = context.broker
    if validate_only or topic.name in broker.metadata.image.topics:
        return
    count = topic.num_partitions if topic.num_partitions > 0 else len(topic.assignments)
    count = count or broker.config.integer("num.partitions")
    charge(context, count, strict_from=_STRICT_FROM)


def _wanted(topic: CreatableTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        {item.partition_index: item.broker_ids for item in topic.assignments},
        {item.name: item.value for item in topic.configs},
    )


def _refuse(name: str, error: ApiError) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=name, error_code=error.code, error_message=error.message, configs=[]
    )


def _describe(topic: CreatedTopic, context: RequestContext) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=topic.name,
        topic_id=topic.topic_id,
        error_message=None,
        num_partitions=len(topic.assignment),
        replication_factor=len(topic.assignment[0]),
        configs=_settings(topic.configs, context),
    )


def _settings(overrides: Mapping[str, str], context: RequestContext) -> list[CreatableTopicConfigs]:
    config = context.broker.config
    settings = []
    for option in TOPIC.by_name.values():
        if option.hidden:
            continue
        origins = config.resource_origins(option, overrides, Source.TOPIC)
        settings.append(
            CreatableTopicConfigs(
                name=option.name,
                value=config.resource_text(option, origins),
                config_source=origins[0].source,
            )
        )
    return settings
