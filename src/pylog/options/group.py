"""Settings of groups, most of which fall back on the broker's."""

from __future__ import annotations

import re
from typing import Final

from pylog.config import Check, Dynamic, Kind, Option, Scope, Synonym, Table, one_of
from pylog.options import inert
from pylog.options.broker import BROKER


def _group(name: str, synonym: str, doc: str) -> Option:
    """A group's setting with the type, default and check of the broker's."""
    model = BROKER[synonym]
    return Option(
        name,
        model.kind,
        model.default,
        doc,
        model.check,
        Scope.GROUP,
        Dynamic.CLUSTER,
        (Synonym(synonym),),
    )


def _of_group(name: str, kind: Kind, default: str, doc: str, check: Check | None = None) -> Option:
    """A setting that groups alone have."""
    return Option(name, kind, default, doc, check, Scope.GROUP, Dynamic.CLUSTER)


def _dead_letter_queue(topic: str) -> str | None:
    return "names of internal topics can't be used" if topic.startswith("__") else None


_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
_BY_DURATION: Final = "by_duration:"


def reset_age_ms(text: str) -> int | None:
    """How old the first record may be, of a reset ``by_duration:PnDTnHnMnS``; None: no such."""
    match = _DURATION.fullmatch(text.removeprefix(_BY_DURATION))
    if not text.startswith(_BY_DURATION) or match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


def _offset_reset(text: str) -> str | None:
    if text in ("earliest", "latest") or reset_age_ms(text) is not None:
        return None
    return "must be earliest, latest or by_duration:PnDTnHnMnS"


GROUP: Final = Table(
    (
        _group(
            "consumer.session.timeout.ms",
            "group.consumer.session.timeout.ms",
            "Session timeout of a member of the consumer protocol.",
        ),
        _group(
            "consumer.heartbeat.interval.ms",
            "group.consumer.heartbeat.interval.ms",
            "What a member of the consumer protocol is told to wait between two heartbeats.",
        ),
        _of_group(
            "errors.deadletterqueue.topic.name",
            Kind.STRING,
            "",
            "Topic for what a share group rejects or gets too often (KIP-1191); empty: none.",
            _dead_letter_queue,
        ),
        _of_group(
            "errors.deadletterqueue.copy.record.enable",
            Kind.BOOLEAN,
            "false",
            "Whether a dead letter has the key and value of its record, or only says where it was.",
        ),
        _of_group(
            "share.auto.offset.reset",
            Kind.STRING,
            "latest",
            "Where a share group begins in a partition: earliest, latest, by_duration:PnDTnHnMnS.",
            _offset_reset,
        ),
        _group(
            "share.assignment.interval.ms",
            "group.share.assignment.interval.ms",
            "Least time between two assignments of the group.",
        ),
        _group(
            "share.delivery.count.limit",
            "group.share.delivery.count.limit",
            "Most deliveries of a record that nobody accepts.",
        ),
        _group(
            "share.heartbeat.interval.ms",
            "group.share.heartbeat.interval.ms",
            "Time between two heartbeats of a member.",
        ),
        _of_group(
            "share.isolation.level",
            Kind.STRING,
            "read_uncommitted",
            "With read_committed, records of aborted transactions are not delivered.",
            one_of("read_uncommitted", "read_committed"),
        ),
        _group(
            "share.partition.max.record.locks",
            "group.share.partition.max.record.locks",
            "Records of a partition between the first that is not done and the last delivered.",
        ),
        _group(
            "share.record.lock.duration.ms",
            "group.share.record.lock.duration.ms",
            "How long a member may keep a record before another one gets it.",
        ),
        _of_group(
            "share.renew.acknowledge.enable",
            Kind.BOOLEAN,
            "true",
            "Whether members may renew their locks.",
        ),
        _group(
            "share.session.timeout.ms",
            "group.share.session.timeout.ms",
            "Silence after which a member is removed.",
        ),
        _group(
            "streams.session.timeout.ms",
            "group.streams.session.timeout.ms",
            "Silence after which a member of a streams group is removed.",
        ),
        _group(
            "streams.heartbeat.interval.ms",
            "group.streams.heartbeat.interval.ms",
            "What a member of a streams group is told to wait between two heartbeats.",
        ),
        _group(
            "streams.num.standby.replicas",
            "group.streams.num.standby.replicas",
            "Members that follow each task with state, besides the one that processes it.",
        ),
        _group(
            "streams.initial.rebalance.delay.ms",
            "group.streams.initial.rebalance.delay.ms",
            "How long the group, when it was empty, waits for more members until it assigns tasks.",
        ),
        _group(
            "streams.assignment.interval.ms",
            "group.streams.assignment.interval.ms",
            "Least time between two assignments.",
        ),
        _group(
            "streams.rack.aware.assignment.tags",
            "group.streams.rack.aware.assignment.tags",
            "Client tags that the members are told to have when they have not.",
        ),
        Option(
            "streams.assignor.name",
            Kind.STRING,
            None,
            "Who assigns the tasks: one of group.streams.assignors, or when not set the first.",
            one_of("sticky"),
            Scope.GROUP,
            Dynamic.CLUSTER,
            (Synonym("group.streams.assignors"),),
        ),
        *inert.GROUP,
    )
)
