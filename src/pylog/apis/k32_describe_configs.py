"""DescribeConfigs: the settings of topics and brokers, with where each comes from.

Behaviour
    A broker describes itself, by its number; with an empty name, what is set for all brokers. Its
    loggers are a resource of their own, with their levels (KIP-412). The value of a password is
    null. Without keys, or with an empty list of them, all are given; else those asked for, in the
    order of the question: kafkajs' own tests take them by their places. Keys that don't exist
    are left out.
Version notes
    1  the lowest served: source and synonyms (KIP-226); 3 type and documentation (KIP-569)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import dropwhile

from pylog.apis.context import RequestContext
from pylog.cluster.configs import (
    ALL_BROKERS,
    ResourceType,
    check_group_name,
    check_node_name,
    check_subscription_name,
)
from pylog.cluster.loggers import levels
from pylog.cluster.topics import check_name
from pylog.config import BrokerConfig, Dynamic, Option, Origin, Scope, Source, Table
from pylog.options import BROKER, CLIENT_METRICS, GROUP, TOPIC
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)


async def handle(
    request: DescribeConfigsRequest, context: RequestContext
) -> DescribeConfigsResponse:
    results = []
    for resource in request.resources:
        result = DescribeConfigsResult(
            error_message=None,
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
        )
        try:
            described = _describe(resource, context)
        except ApiError as error:
            result.error_code, result.error_message = error.code, error.message
        else:
            result.configs = described
            if resource.configuration_keys:
                by_name = {entry.name: entry for entry in described}
                asked = dict.fromkeys(resource.configuration_keys)
                result.configs = [by_name[key] for key in asked if key in by_name]
            _leave_out(request, result.configs)
        results.append(result)
    return DescribeConfigsResponse(results=results)


def _leave_out(
    request: DescribeConfigsRequest, entries: Sequence[DescribeConfigsResourceResult]
) -> None:
    for entry in entries:
        if not request.include_synonyms:
            entry.synonyms = []
        if not request.include_documentation:
            entry.documentation = None


def _describe(
    resource: DescribeConfigsResource, context: RequestContext
) -> list[DescribeConfigsResourceResult]:
    name = resource.resource_name
    if resource.resource_type == ResourceType.TOPIC:
        return _describe_topic(name, context)
    if resource.resource_type == ResourceType.CLIENT_METRICS:
        return _describe_subscription(name, context)
    if resource.resource_type == ResourceType.GROUP:
        return _describe_group(name, context)
    if resource.resource_type == ResourceType.BROKER_LOGGER:
        check_node_name(name, context.broker.node_id)
        return _describe_loggers()
    if resource.resource_type != ResourceType.BROKER:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            f"Resources of type {resource.resource_type} have no settings here.",
        )
    broker = context.broker
    if name == ALL_BROKERS:
        return _describe_all_brokers(broker.metadata.image.config("broker", ALL_BROKERS))
    check_node_name(name, broker.node_id)
    return [_broker_entry(option, broker.config) for option in _shown(BROKER)]


def _shown(table: Table) -> list[Option]:
    return [option for option in table.by_name.values() if not option.hidden]


def _describe_topic(name: str, context: RequestContext) -> list[DescribeConfigsResourceResult]:
    check_name(name)
    image, config = context.broker.metadata.image, context.broker.config
    if name not in image.topics:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    overrides = image.config("topic", name)
    entries = []
    for option in _shown(TOPIC):
        origins = config.resource_origins(option, overrides, Source.TOPIC)
        entries.append(_resource_entry(option, config.resource_text(option, origins), origins))
    return entries


def _describe_group(name: str, context: RequestContext) -> list[DescribeConfigsResourceResult]:
    check_group_name(name)
    config = context.broker.config
    overrides = context.broker.metadata.image.config("group", name)
    entries = []
    for option in _shown(GROUP):
        origins = config.resource_origins(option, overrides, Source.GROUP)
        entries.append(_resource_entry(option, config.resource_text(option, origins), origins))
    return entries


def _describe_subscription(
    name: str, context: RequestContext
) -> list[DescribeConfigsResourceResult]:
    check_subscription_name(name)
    texts = context.broker.metadata.image.config("client-metrics", name)
    entries = []
    for key, option in CLIENT_METRICS.by_name.items():
        if key in texts:
            origin = Origin(key, texts[key], Source.CLIENT_METRICS)
            entries.append(_entry(option, origin.text, [origin]))
        else:  # without synonyms, as in Kafka
            origin = Origin(key, None, Source.DEFAULT)
            entries.append(_entry(option, option.default, [origin]))
    return entries


def _describe_loggers() -> list[DescribeConfigsResourceResult]:
    return [
        DescribeConfigsResourceResult(
            name=name, value=level, config_source=Source.BROKER_LOGGER, documentation=""
        )
        for name, level in levels().items()
    ]


def _describe_all_brokers(texts: Mapping[str, str]) -> list[DescribeConfigsResourceResult]:
    return [
        _entry(BROKER[name], text, [Origin(name, text, Source.CLUSTER)])
        for name, text in texts.items()
    ]


# Broker settings that stand for one thing in several units, by the one that comes first.
_UNITS = {o.synonyms[0].name: o for o in TOPIC.by_name.values() if len(o.synonyms) > 1}


def _broker_entry(option: Option, config: BrokerConfig) -> DescribeConfigsResourceResult:
    entry = _entry(option, config.origins(option.name)[0].text, config.origins(option.name))
    units = _UNITS.get(option.name)
    if units is not None:
        entry.synonyms = _synonyms(
            option, _from_first(units, config.resource_origins(units, {}, Source.TOPIC))
        )
    return entry


def _resource_entry(
    option: Option, text: str | None, origins: Sequence[Origin]
) -> DescribeConfigsResourceResult:
    """Of a topic or group: its own value, and behind it what is told of the broker's."""
    entry = _entry(option, text, origins)
    own = [origin for origin in origins if origin.source in (Source.TOPIC, Source.GROUP)]
    entry.synonyms = _synonyms(option, [*own, *_from_first(option, origins[len(own) :])])
    return entry


def _from_first(option: Option, origins: Sequence[Origin]) -> Iterable[Origin]:
    """Kafka tells nothing before the first unit, and no defaults that are a topic's own."""
    if not option.synonyms:
        return () if option.scope is Scope.TOPIC else origins
    return dropwhile(lambda origin: origin.name != option.synonyms[0].name, origins)


def _synonyms(option: Option, origins: Iterable[Origin]) -> list[DescribeConfigsSynonym]:
    return [
        DescribeConfigsSynonym(
            name=origin.name,
            value=None if option.sensitive else origin.text,
            source=origin.source,
        )
        for origin in origins
        if origin.text is not None
    ]


def _entry(
    option: Option, text: str | None, origins: Sequence[Origin]
) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=option.name,
        value=None if option.sensitive else text,
        read_only=option.dynamic is Dynamic.NO,
        config_source=origins[0].source,
        is_sensitive=option.sensitive,
        synonyms=_synonyms(option, origins),
        config_type=option.kind,
        documentation=option.doc,
    )
