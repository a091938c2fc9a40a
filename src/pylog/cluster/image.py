"""The metadata of the cluster as one immutable value, and how it lies in the store.

=============================  ==================================================================
key                            value (JSON)
=============================  ==================================================================
cluster                        ``{"id": text}``
brokers/ID                     ``{"listeners": {name: [host, port]}, "rack": text | null}``
topics/NAME                    ``{"id": hex, "assignment": [[replica, ...], ...]}``
partitions/TOPIC_ID/INDEX      ``{"leader", "epoch", "isr", "version"}``, once it differs from the
                               first: leader = first replica, epoch 0, isr = all replicas
configs/TYPE/NAME              ``{setting: text}``; TYPE is topic, broker, group,
                               client-metrics
features/NAME                  level
users/MECHANISM/NAME           ``{"salt", "iterations", "stored_key", "server_key"}``, hex
acls/RULE                      1; see :func:`acl_key`
quotas/ENTITY                  ``{quota: number}``; see :func:`quota_key`
=============================  ==================================================================

A new topic is one key whatever its number of partitions, and a change of a partition's leader
touches that partition only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pylog.cluster.store import Change, Commit, Entry, Snapshot
from pylog.security.acl import Acl
from pylog.security.credentials import Credential, ScramMechanism

NO_LEADER: Final = -1
_EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})
# What a quota is for: pairs of a type (user, client-id, ip) and a name, or None for the default of
# all that have no quota of their own; in the order of the types.
QuotaEntity = tuple[tuple[str, str | None], ...]
INTERNAL_TOPICS: Final = frozenset(
    {"__consumer_offsets", "__transaction_state", "__share_group_state"}
)


class BrokerImage(NamedTuple):
    """A registered broker; ``epoch`` is the revision that its registration was made with."""

    broker_id: int
    epoch: int
    listeners: Mapping[str, tuple[str, int]]
    rack: str | None


class PartitionImage(NamedTuple):
    """Who has a partition and who leads it."""

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int = 0
    partition_epoch: int = 0


class TopicImage(NamedTuple):
    """A topic; ``partitions`` by index."""

    name: str
    topic_id: bytes  # 16
    partitions: tuple[PartitionImage, ...]

    @property
    def internal(self) -> bool:
        """Written by coordinators only."""
        return self.name in INTERNAL_TOPICS


class Image(NamedTuple):
    """All metadata at one revision. ``versions`` holds the revision of every stored key."""

    revision: int = 0
    cluster_id: str = ""
    brokers: Mapping[int, BrokerImage] = _EMPTY
    topics: Mapping[str, TopicImage] = _EMPTY
    topic_names: Mapping[bytes, str] = _EMPTY  # by topic id
    configs: Mapping[tuple[str, str], Mapping[str, str]] = _EMPTY
    features: Mapping[str, int] = _EMPTY
    users: Mapping[str, Mapping[ScramMechanism, Credential]] = _EMPTY
    acls: Mapping[Acl, int] = _EMPTY
    quotas: Mapping[QuotaEntity, Mapping[str, float]] = _EMPTY
    versions: Mapping[str, int] = _EMPTY

    def config(self, kind: str, name: str) -> Mapping[str, str]:
        """The settings of a topic, broker ("" for all brokers) or group; empty when none."""
        return self.configs.get((kind, name), {})

    def configs_of(self, kind: str) -> Mapping[str, Mapping[str, str]]:
        """The settings of all topics, brokers, … that have some, by name."""
        return {name: texts for (of, name), texts in self.configs.items() if of == kind}

    def topic_by_id(self, topic_id: bytes) -> TopicImage | None:
        """The topic with an id, or None."""
        name = self.topic_names.get(topic_id)
        return None if name is None else self.topics[name]

    def version(self, key: str) -> int:
        """The revision at which a key was last written; 0 when there is none."""
        return self.versions.get(key, 0)


# ---- keys and values ----


def topic_key(name: str) -> str:
    return f"topics/{name}"


def partition_key(topic_id: bytes, index: int) -> str:
    return f"partitions/{topic_id.hex()}/{index}"


def config_key(kind: str, name: str) -> str:
    return f"configs/{kind}/{name}"


def broker_key(broker_id: int) -> str:
    return f"brokers/{broker_id}"


def feature_key(name: str) -> str:
    return f"features/{name}"


def user_key(mechanism: ScramMechanism, user: str) -> str:
    """Of a credential."""
    return f"users/{int(mechanism)}/{user}"


def acl_key(acl: Acl) -> str:
    """The fields as JSON: a rule has no content but its key."""
    return "acls/" + json.dumps(acl, separators=(",", ":"))


def quota_key(entity: QuotaEntity) -> str:
    """The pairs as JSON: names may hold any character."""
    return "quotas/" + json.dumps(entity, separators=(",", ":"))


CLUSTER_KEY: Final = "cluster"


def encode(value: object) -> bytes:
    """A value as it is stored."""
    return json.dumps(value, separators=(",", ":")).encode()


def encode_topic(topic_id: bytes, assignment: Iterable[Iterable[int]]) -> bytes:
    """The value of a topic's key."""
    return encode({"id": topic_id.hex(), "assignment": [list(item) for item in assignment]})


def encode_partition(partition: PartitionImage) -> bytes:
    """The value of a partition's key."""
    return encode(
        {
            "leader": partition.leader,
            "epoch": partition.leader_epoch,
            "isr": partition.isr,
            "version": partition.partition_epoch,
        }
    )


def encode_broker(listeners: Mapping[str, tuple[str, int]], rack: str | None) -> bytes:
    """The value of a broker's key."""
    return encode({"listeners": listeners, "rack": rack})


# ---- reading ----


class _Draft:
    """An image in the making: copies of the tables that a commit touches."""

    def __init__(self, base: Image) -> None:
        self._base = base
        self._tables: dict[str, dict[Any, Any]] = {}
        self._cluster_id = base.cluster_id
        self._states: dict[tuple[bytes, int], dict[str, Any] | None] = {}

    def _table(self, name: str) -> dict[Any, Any]:
        if name not in self._tables:
            self._tables[name] = dict(getattr(self._base, name))
        return self._tables[name]

    def _put(self, name: str, key: Any, value: Any) -> None:
        if value is None:
            self._table(name).pop(key, None)
        else:
            self._table(name)[key] = value

    def apply(self, change: Change) -> None:
        key, entry = change
        self._put("versions", key, entry.modified if entry else None)
        kind, _, rest = key.partition("/")
        value = None if entry is None else json.loads(entry.value)
        if kind == "cluster":
            self._cluster_id = value["id"] if value else ""
        elif kind == "brokers":
            broker = _broker(int(rest), entry, value) if entry and value else None
            self._put("brokers", int(rest), broker)
        elif kind == "topics":
            self._apply_topic(rest, value)
        elif kind == "partitions":
            topic_id, _, index = rest.partition("/")
            self._states[bytes.fromhex(topic_id), int(index)] = value
        elif kind == "configs":
            scope, _, name = rest.partition("/")
            self._put("configs", (scope, name), value or None)
        elif kind == "features":
            self._put("features", rest, value)
        elif kind == "users":
            self._apply_user(rest, value)
        elif kind == "acls":
            self._put("acls", Acl(*json.loads(rest)), value)
        elif kind == "quotas":
            self._put("quotas", tuple((of, name) for of, name in json.loads(rest)), value)

    def _apply_user(self, rest: str, value: dict[str, Any] | None) -> None:
        number, _, user = rest.partition("/")
        credentials = dict(self._table("users").get(user, {}))
        if value is None:
            credentials.pop(ScramMechanism(int(number)), None)
        else:
            credentials[ScramMechanism(int(number))] = Credential(
                bytes.fromhex(value["salt"]),
                value["iterations"],
                bytes.fromhex(value["stored_key"]),
                bytes.fromhex(value["server_key"]),
            )
        self._put("users", user, credentials or None)

    def _apply_topic(self, name: str, value: dict[str, Any] | None) -> None:
        before = self._table("topics").get(name)
        if before is not None:
            self._put("topic_names", before.topic_id, None)
        if value is None:
            self._put("topics", name, None)
            return
        topic_id = bytes.fromhex(value["id"])
        kept = before.partitions if before and before.topic_id == topic_id else ()
        first = [_first_state(replicas) for replicas in value["assignment"]]
        partitions = tuple(
            old._replace(replicas=new.replicas) for old, new in zip(kept, first, strict=False)
        )
        topic = TopicImage(name, topic_id, partitions + tuple(first[len(kept) :]))
        self._put("topics", name, topic)
        self._put("topic_names", topic_id, name)

    def finish(self, revision: int) -> Image:
        self._apply_states()
        return self._base._replace(revision=revision, cluster_id=self._cluster_id, **self._tables)

    def _apply_states(self) -> None:
        """Partition states go last: in a commit they may stand before their topic."""
        changed: dict[str, list[PartitionImage]] = {}
        names = self._table("topic_names") if self._states else {}
        for (topic_id, index), state in self._states.items():
            name = names.get(topic_id)
            if name is None:
                continue  # its topic is deleted
            partitions = changed.setdefault(name, list(self._table("topics")[name].partitions))
            if state is not None and index < len(partitions):
                partitions[index] = PartitionImage(
                    partitions[index].replicas,
                    tuple(state["isr"]),
                    state["leader"],
                    state["epoch"],
                    state["version"],
                )
        for name, partitions in changed.items():
            topic = self._table("topics")[name]
            self._put("topics", name, topic._replace(partitions=tuple(partitions)))


def _broker(broker_id: int, entry: Entry, value: dict[str, Any]) -> BrokerImage:
    listeners = {name: (host, port) for name, (host, port) in value["listeners"].items()}
    return BrokerImage(broker_id, entry.created, listeners, value["rack"])


def _first_state(replicas: list[int]) -> PartitionImage:
    return PartitionImage(tuple(replicas), tuple(replicas), replicas[0])


def image_of(snapshot: Snapshot) -> Image:
    """The image of a whole store."""
    changes = [Change(key, entry) for key, entry in snapshot.entries.items()]
    return advance(Image(), Commit(snapshot.revision, changes))


def advance(image: Image, commit: Commit) -> Image:
    """The image after one more commit."""
    draft = _Draft(image)
    for change in commit.changes:
        draft.apply(change)
    return draft.finish(commit.revision)
