"""``pylog group``: list, describe, reset and delete groups."""

from __future__ import annotations

from dataclasses import asdict

import click
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pylog.cli import _client, _groups
from pylog.cli._direct import Direct


@click.group("group")
def command() -> None:
    """List, describe, reset and delete groups."""


@command.command("list")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def list_groups(as_json: bool, bootstrap: str) -> None:
    """List groups of every type with their state."""
    with Direct(bootstrap) as direct:
        rows = _groups.list_rows(direct)
    if as_json:
        _client.print_json([row._asdict() for row in rows])
    else:
        _client.print_table(None, _groups.ListedRow._fields, rows)


@command.command("describe")
@click.argument("name")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def describe(name: str, as_json: bool, bootstrap: str) -> None:
    """Show the partitions of the group NAME: who reads them, how far, and what is left.

    Members of a share group read partitions together, from a start offset on.
    """
    admin = _client.connect_admin(bootstrap)
    with Direct(bootstrap) as direct:
        group = _groups.describe(direct, admin, name)
    if as_json:
        document = asdict(group)
        del document["columns"]
        _client.print_json(document)
        return
    _client.print_table(
        f"{name}  {group.type} group, {group.state}, {group.members} members",
        group.columns,
        [tuple(row[column.lstrip("#")] for column in group.columns) for row in group.partitions],
    )


@command.command("reset")
@click.argument("name")
@click.option("-t", "--topic", "topics", multiple=True, required=True)
@click.option("--to", "target", required=True, metavar="earliest|latest|OFFSET|TIME")
@click.option("--dry-run", is_flag=True, help="Say what would be committed, and stop.")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def reset(
    name: str, topics: tuple[str, ...], target: str, dry_run: bool, as_json: bool, bootstrap: str
) -> None:
    """Set the committed offsets of the group NAME; it must have no members."""
    admin = _client.connect_admin(bootstrap)
    offsets = _target_offsets(admin, topics, target)
    if not dry_run:
        request = ConsumerGroupTopicPartitions(name, offsets)
        result = admin.alter_consumer_group_offsets([request])[name].result(_client.TIMEOUT_S)
        for partition in result.topic_partitions:
            if partition.error is not None:
                raise click.ClickException(f"{partition.topic}: {partition.error.str()}")
    rows = [(p.topic, p.partition, p.offset) for p in offsets]
    columns = ("topic", "partition", "offset")
    if as_json:
        _client.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        title = "would commit" if dry_run else "committed"
        _client.print_table(title, ("topic", "#partition", "#offset"), rows)


def _target_offsets(
    admin: AdminClient, topics: tuple[str, ...], target: str
) -> list[TopicPartition]:
    metadata = admin.list_topics(timeout=_client.TIMEOUT_S).topics
    missing = [topic for topic in topics if topic not in metadata]
    if missing:
        raise click.ClickException(f"no topic {missing[0]}")
    places = [(topic, index) for topic in topics for index in sorted(metadata[topic].partitions)]
    if target.isdigit():
        return [TopicPartition(*place, int(target)) for place in places]
    latest = _groups.offsets_at(admin, places, OffsetSpec.latest())
    if target == "latest":
        return [TopicPartition(*place, latest[place]) for place in places]
    if target == "earliest":
        found = _groups.offsets_at(admin, places, OffsetSpec.earliest())
    else:
        time_ms = _client.parse_time_ms(target)
        if time_ms is None:
            raise click.BadParameter(f"{target!r} is no offset and no time", param_hint="--to")
        found = _groups.offsets_at(admin, places, OffsetSpec.for_timestamp(time_ms))
    # Nothing at or after that time: the end, as Kafka's own tool does.
    return [
        TopicPartition(*place, found[place] if found[place] >= 0 else latest[place])
        for place in places
    ]


@command.command("delete")
@click.argument("names", nargs=-1, required=True)
@_client.bootstrap_option
@_client.client_errors
def delete(names: tuple[str, ...], bootstrap: str) -> None:
    """Delete groups with their committed offsets; they must have no members."""
    admin = _client.connect_admin(bootstrap)
    _client.wait_all(admin.delete_consumer_groups(list(names)))
    for name in names:
        click.echo(f"{name} deleted")
