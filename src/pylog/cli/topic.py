"""``pylog topic``: create, list, describe, change and delete topics."""

from __future__ import annotations

import click
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from pylog.cli import _client


@click.group("topic")
def command() -> None:
    """Create, list, describe, change and delete topics."""


@command.command("create")
@click.argument("name")
@click.option("-p", "--partitions", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("-r", "--replicas", type=click.IntRange(min=1), help="Default: the broker's.")
@click.option("-c", "--config", "configs", multiple=True, metavar="NAME=VALUE")
@click.option("--if-not-exists", is_flag=True, help="Succeed when the topic is there already.")
@_client.bootstrap_option
@_client.client_errors
def create(
    name: str,
    partitions: int | None,
    replicas: int | None,
    configs: tuple[str, ...],
    if_not_exists: bool,
    bootstrap: str,
) -> None:
    """Create the topic NAME."""
    settings = _client.parse_pairs(configs, "--config")
    topic = NewTopic(name, partitions or -1, replicas or -1, config=settings)
    admin = _client.connect_admin(bootstrap)
    try:
        admin.create_topics([topic])[name].result(_client.TIMEOUT_S)
    except KafkaException as error:
        if if_not_exists and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            click.echo(f"{name} exists")
            return
        raise
    click.echo(f"{name} created")


@command.command("list")
@click.option("--internal", is_flag=True, help="Show topics of the broker's own, too.")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def list_topics(internal: bool, as_json: bool, bootstrap: str) -> None:
    """List topics with their partitions."""
    admin = _client.connect_admin(bootstrap)
    topics = admin.list_topics(timeout=_client.TIMEOUT_S).topics
    rows = [
        (name, len(topics[name].partitions))
        for name in sorted(topics)
        if internal or not name.startswith("__")
    ]
    if as_json:
        _client.print_json([{"topic": name, "partitions": count} for name, count in rows])
    else:
        _client.print_table(None, ("topic", "#partitions"), rows)


@command.command("describe")
@click.argument("names", nargs=-1, required=True)
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def describe(names: tuple[str, ...], as_json: bool, bootstrap: str) -> None:
    """Show partitions, offsets and settings that differ from their defaults."""
    admin = _client.connect_admin(bootstrap)
    documents = [_describe_topic(admin, name) for name in names]
    if as_json:
        _client.print_json(documents)
        return
    for document in documents:
        _print_topic(document)


def _describe_topic(admin: AdminClient, name: str) -> dict[str, object]:
    metadata = admin.list_topics(name, timeout=_client.TIMEOUT_S).topics[name]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    partitions = [TopicPartition(name, index) for index in sorted(metadata.partitions)]
    starts = _offsets(admin, partitions, OffsetSpec.earliest())
    ends = _offsets(admin, partitions, OffsetSpec.latest())
    return {
        "topic": name,
        "partitions": [
            {
                "partition": index,
                "leader": metadata.partitions[index].leader,
                "replicas": metadata.partitions[index].replicas,
                "isr": metadata.partitions[index].isrs,
                "start": starts[index],
                "end": ends[index],
            }
            for index in sorted(metadata.partitions)
        ],
        "config": _changed_configs(admin, name),
    }


def _offsets(
    admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec
) -> dict[int, int]:
    futures = admin.list_offsets(dict.fromkeys(partitions, spec))
    return {
        partition.partition: info.offset for partition, info in _client.wait_all(futures).items()
    }


def _changed_configs(admin: AdminClient, name: str) -> dict[str, str | None]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    entries: dict[str, ConfigEntry] = _client.wait_all(admin.describe_configs([resource]))[resource]
    changed = ConfigSource.DYNAMIC_TOPIC_CONFIG
    return {
        entry.name: entry.value
        for entry in entries.values()
        if ConfigSource(entry.source) is changed
    }


def _print_topic(document: dict[str, object]) -> None:
    config = document["config"]
    assert isinstance(config, dict)
    settings = ", ".join(f"{key}={value}" for key, value in sorted(config.items()))
    partitions = document["partitions"]
    assert isinstance(partitions, list)
    _client.print_table(
        f"{document['topic']}  {settings}".rstrip(),
        ("#partition", "#leader", "replicas", "isr", "#start", "#end", "#records"),
        [
            (
                row["partition"],
                row["leader"],
                ",".join(map(str, row["replicas"])),
                ",".join(map(str, row["isr"])),
                row["start"],
                row["end"],
                row["end"] - row["start"],
            )
            for row in partitions
        ],
    )


@command.command("alter")
@click.argument("name")
@click.option(
    "-p", "--partitions", type=click.IntRange(min=1), help="Grow to this many partitions."
)
@click.option(
    "-c", "--config", "configs", multiple=True, metavar="NAME=VALUE", help="Set a setting."
)
@click.option("--unset", "unset", multiple=True, metavar="NAME", help="Back to the default.")
@_client.bootstrap_option
@_client.client_errors
def alter(
    name: str,
    partitions: int | None,
    configs: tuple[str, ...],
    unset: tuple[str, ...],
    bootstrap: str,
) -> None:
    """Add partitions to a topic, or change its settings."""
    if not (partitions or configs or unset):
        raise click.UsageError("nothing to alter: give --partitions, --config or --unset")
    admin = _client.connect_admin(bootstrap)
    if partitions:
        _client.wait_all(admin.create_partitions([NewPartitions(name, partitions)]))
    if configs or unset:
        _alter_configs(admin, name, _client.parse_pairs(configs, "--config"), unset)
    click.echo(f"{name} altered")


def _alter_configs(
    admin: AdminClient, name: str, values: dict[str, str], unset: tuple[str, ...]
) -> None:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in values.items()
    ]
    entries += [
        ConfigEntry(key, None, incremental_operation=AlterConfigOpType.DELETE) for key in unset
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
    _client.wait_all(admin.incremental_alter_configs([resource]))


@command.command("delete")
@click.argument("names", nargs=-1, required=True)
@_client.bootstrap_option
@_client.client_errors
def delete(names: tuple[str, ...], bootstrap: str) -> None:
    """Delete topics with all their records."""
    admin = _client.connect_admin(bootstrap)
    _client.wait_all(admin.delete_topics(list(names)))
    for name in names:
        click.echo(f"{name} deleted")


@command.command("trim")
@click.argument("name")
@click.option("--partition", type=click.IntRange(min=0), required=True)
@click.option("--before", type=click.IntRange(min=0), help="Offset; default: the end.")
@_client.bootstrap_option
@_client.client_errors
def trim(name: str, partition: int, before: int | None, bootstrap: str) -> None:
    """Delete the records of a partition below an offset."""
    admin = _client.connect_admin(bootstrap)
    target = TopicPartition(name, partition, -1 if before is None else before)
    result = _client.wait_all(admin.delete_records([target]))[target]
    click.echo(f"{name}-{partition} starts at {result.low_watermark}")
