"""``pylog group``: list, describe, reset and delete consumer groups."""

from __future__ import annotations

from typing import Any

import click
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pylog.cli import _client


@click.group("group")
def command() -> None:
    """List, describe, reset and delete consumer groups."""


@command.command("list")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def list_groups(as_json: bool, bootstrap: str) -> None:
    """List groups with their state."""
    admin = _client.connect_admin(bootstrap)
    result = admin.list_consumer_groups().result(_client.TIMEOUT_S)
    rows = sorted((group.group_id, group.state.name.lower()) for group in result.valid)
    if as_json:
        _client.print_json([{"group": name, "state": state} for name, state in rows])
    else:
        _client.print_table(None, ("group", "state"), rows)


@command.command("describe")
@click.argument("name")
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def describe(name: str, as_json: bool, bootstrap: str) -> None:
    """Show members, committed offsets and lag of the group NAME."""
    admin = _client.connect_admin(bootstrap)
    group = admin.describe_consumer_groups([name])[name].result(_client.TIMEOUT_S)
    owners = {
        (p.topic, p.partition): f"{member.client_id}@{member.host}"
        for member in group.members
        for p in member.assignment.topic_partitions
    }
    document: dict[str, Any] = {
        "group": name,
        "state": group.state.name.lower(),
        "members": len(group.members),
        "partitions": _lag_rows(admin, name, owners),
    }
    if as_json:
        _client.print_json(document)
        return
    columns = ("topic", "partition", "committed", "end", "lag", "member")
    _client.print_table(
        f"{name}  {document['state']}, {document['members']} members",
        ("topic", "#partition", "#committed", "#end", "#lag", "member"),
        [tuple(row[column] for column in columns) for row in document["partitions"]],
    )


def _committed(admin: AdminClient, name: str) -> dict[tuple[str, int], int]:
    future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name]
    result = future.result(_client.TIMEOUT_S)
    return {(p.topic, p.partition): p.offset for p in result.topic_partitions or []}


def _lag_rows(
    admin: AdminClient, name: str, owners: dict[tuple[str, int], str]
) -> list[dict[str, Any]]:
    committed = _committed(admin, name)
    places = sorted(committed.keys() | owners.keys())
    specs = {TopicPartition(*place): OffsetSpec.latest() for place in places}
    futures = admin.list_offsets(specs) if specs else {}
    ends = {
        (partition.topic, partition.partition): info.offset
        for partition, info in _client.wait_all(futures).items()
    }
    rows = []
    for place in places:
        offset = committed.get(place, -1)
        rows.append(
            {
                "topic": place[0],
                "partition": place[1],
                "committed": offset if offset >= 0 else None,
                "end": ends[place],
                "lag": ends[place] - offset if offset >= 0 else None,
                "member": owners.get(place),
            }
        )
    return rows


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
    latest = _offsets(admin, places, OffsetSpec.latest())
    if target == "latest":
        return [TopicPartition(*place, latest[place]) for place in places]
    if target == "earliest":
        found = _offsets(admin, places, OffsetSpec.earliest())
    else:
        time_ms = _client.parse_time_ms(target)
        if time_ms is None:
            raise click.BadParameter(f"{target!r} is no offset and no time", param_hint="--to")
        found = _offsets(admin, places, OffsetSpec.for_timestamp(time_ms))
    # Nothing at or after that time: the end, as Kafka's own tool does.
    return [
        TopicPartition(*place, found[place] if found[place] >= 0 else latest[place])
        for place in places
    ]


def _offsets(
    admin: AdminClient, places: list[tuple[str, int]], spec: OffsetSpec
) -> dict[tuple[str, int], int]:
    futures = admin.list_offsets({TopicPartition(*place): spec for place in places})
    return {
        (partition.topic, partition.partition): info.offset
        for partition, info in _client.wait_all(futures).items()
    }


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
