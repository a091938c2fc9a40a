"""What an admin asks of the cluster: versions, features, quotas, users, access, telemetry."""

from __future__ import annotations

from typing import Any

from tests.compare.dialogue import Dialogue


def play(d: Dialogue) -> None:
    _versions(d)
    _features(d)
    _tokens(d)
    _quotas(d)
    _users(d)
    _access(d)
    _telemetry(d)
    _reassignments(d)


def _versions(d: Dialogue) -> None:
    for title, name, version in (
        ("client", "a-b.c", "1.0"),
        ("without name", "", "1"),
        ("without version", "a", ""),
        ("with a wrong name", "a b", "1"),
        ("with a name that begins wrongly", "-a", "1"),
        ("with a name that ends wrongly", "a-", "1"),
        ("with a wrong version", "a", "1/2"),
    ):
        for api_version in (3, 4):
            d.ask(
                f"versions of a {title} v{api_version}",
                "ApiVersions",
                api_version,
                by=f"{title}{api_version}",
                hidden=("api_keys", "supported_features", "finalized_features"),
                client_software_name=name,
                client_software_version=version,
            )
    d.ask("handshake", "SaslHandshake", 1, by="sasl", mechanism="PLAIN")
    d.ask("authentication", "SaslAuthenticate", 2, by="sasl", auth_bytes=b"\0a\0b")


def _tokens(d: Dialogue) -> None:
    for version in (1, 2, 3):
        fields = {"renewers": [], "max_lifetime_ms": -1}
        if version == 3:
            fields |= {"owner_principal_type": "User", "owner_principal_name": "anna"}
        d.ask(f"create token v{version}", "CreateDelegationToken", version, **fields)
        d.ask(f"tokens v{version}", "DescribeDelegationToken", version, owners=None)
    for version in (1, 2):
        d.ask(
            f"renew token v{version}",
            "RenewDelegationToken",
            version,
            hmac=b"x",
            renew_period_ms=-1,
        )
        d.ask(
            f"expire token v{version}",
            "ExpireDelegationToken",
            version,
            hmac=b"x",
            expiry_time_period_ms=-1,
        )


def _features(d: Dialogue) -> None:
    def update(title: str, *rows: tuple[str, int, int], version: int = 2, **fields: Any) -> None:
        updates = [
            {"feature": name, "max_version_level": level}
            | ({"allow_downgrade": kind != 1} if version == 0 else {"upgrade_type": kind})
            for name, level, kind in rows
        ]
        d.ask(
            f"features: {title}",
            "UpdateFeatures",
            version,
            feature_updates=updates,
            timeout_ms=10_000,
            **fields,
        )

    upgrade, safe, unsafe = 1, 2, 3
    for version in range(3):
        update(f"unknown v{version}", ("nobody", 1, upgrade), version=version)
    update("as it is", ("group.version", 1, upgrade))
    update("too high", ("group.version", 99, upgrade))
    update("negative", ("group.version", -1, upgrade))
    update("lower, as an upgrade", ("transaction.version", 1, upgrade))
    update("lower, safely", ("transaction.version", 1, safe), validate_only=True)
    update("lower, unsafely", ("transaction.version", 1, unsafe), validate_only=True)
    update("off, safely", ("transaction.version", 0, safe), validate_only=True)
    update("higher, as a downgrade", ("share.version", 1, safe))
    update("of an unknown kind", ("group.version", 1, 4))
    update("of no kind", ("group.version", 1, 0))
    update("of kind -1", ("group.version", 1, -1))
    update("none")
    eligible = "eligible.leader.replicas.version"
    update("eligible leaders, as they are", (eligible, 1, upgrade))
    update("eligible leaders, too high", (eligible, 2, upgrade), validate_only=True)
    update("eligible leaders off", (eligible, 0, safe))
    row = {"name": "min.insync.replicas", "config_operation": 0, "value": "2"}
    broker = {"resource_type": 4, "resource_name": "1"}
    resources = [broker | {"configs": [row]}]
    d.ask("copies in sync of one broker", "IncrementalAlterConfigs", 1, resources=resources)
    update("eligible leaders on again", (eligible, 1, upgrade))
    resources = [broker | {"configuration_keys": [row["name"]]}]
    d.ask("copies in sync of all", "DescribeConfigs", 4, resources=resources)
    for name, high in (("metadata.version", 33), ("kraft.version", 1)):
        update(f"{name}, highest", (name, high, upgrade))
        update(f"{name}, too high", (name, high + 1, upgrade))
        update(f"{name}, lower, as an upgrade", (name, high - 1, upgrade))
        update(f"{name}, lower, safely", (name, high - 1, safe), validate_only=True)
        update(f"{name}, lower, unsafely", (name, high - 1, unsafe), validate_only=True)
    _release(d)
    update("one right, one wrong", ("transaction.version", 1, safe), ("nobody", 1, upgrade))
    update("without name", ("", 1, upgrade))
    for version in (1, 2):
        update(
            f"lower v{version}",
            ("transaction.version", 1, safe),
            version=version,
            validate_only=True,
        )


def _release(d: Dialogue) -> None:
    """As the quorum and its features are once all have the levels of the release."""
    client = {"client_software_name": "a", "client_software_version": "1"}
    for version in (3, 4):
        d.ask(
            f"features v{version}", "ApiVersions", version, by="f", hidden=("api_keys",), **client
        )
    topics = [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]
    hidden = ("nodes", "high_watermark", "log_end_offset")
    hidden += ("last_fetch_timestamp", "last_caught_up_timestamp")
    for version in range(3):
        d.ask(f"quorum v{version}", "DescribeQuorum", version, hidden=hidden, topics=topics)


def _quotas(d: Dialogue) -> None:
    def alter(title: str, *entries: tuple[Any, Any], **fields: Any) -> None:
        rows = [
            {
                "entity": [{"entity_type": t, "entity_name": n} for t, n in entity],
                "ops": [{"key": k, "value": v or 0.0, "remove": v is None} for k, v in ops],
            }
            for entity, ops in entries
        ]
        version = fields.pop("version", 1)
        d.ask(f"quotas: {title}", "AlterClientQuotas", version, entries=rows, **fields)

    user, client = [("user", "ann")], [("client-id", "app")]
    rate = [("producer_byte_rate", 1000.0)]
    for version in range(2):
        alter(f"user v{version}", (user, rate), version=version)
    alter("client", (client, [("consumer_byte_rate", 2000.5)]))
    alter("both", (user + client, [("request_percentage", 12.5)]))
    alter("default user", ([("user", None)], [("controller_mutation_rate", 1.5)]))
    alter("ip", ([("ip", "10.0.0.1")], [("connection_creation_rate", 5.0)]))
    alter("ip v6", ([("ip", "::1")], [("connection_creation_rate", 5.0)]))
    alter("default ip", ([("ip", None)], [("connection_creation_rate", 50.0)]))
    alter("ip by name", ([("ip", "nobody.invalid")], [("connection_creation_rate", 5.0)]))
    alter("ip and user", ([("ip", "10.0.0.1"), *user], [("connection_creation_rate", 5.0)]))
    alter("ip, a fraction", ([("ip", "10.0.0.1")], [("connection_creation_rate", 0.5)]))
    alter("ip, another quota", ([("ip", "10.0.0.1")], rate))
    alter("user, an ip's quota", (user, [("connection_creation_rate", 5.0)]))
    alter("no entity", ([], rate))
    alter("unknown entity", ([("group", "a")], rate))
    alter("empty user", ([("user", "")], rate))
    alter("empty client", ([("client-id", "")], rate))
    alter("unknown key", (user, [("speed", 1.0)]))
    alter("key twice", (user, [*rate, ("producer_byte_rate", 5.0)]))
    alter("no op", (user, []))
    for value in (-1.0, 0.0, 0.5, float("inf"), float("nan"), 1e300, -0.0):
        alter(
            f"value {value}",
            ([("user", "bob")], [("producer_byte_rate", value)]),
            validate_only=True,
        )
    alter("removing what is not there", ([("user", "eve")], [("producer_byte_rate", None)]))
    alter("entity in two entries", (user, rate), (user, [("consumer_byte_rate", 1.0)]))
    alter("none")
    alter("one right, one wrong", ([("user", "zoe")], rate), ([("user", "yan")], [("speed", 1.0)]))

    def describe(title: str, *parts: tuple[str, int, str | None], **fields: Any) -> None:
        rows = [{"entity_type": t, "match_type": m, "match": n} for t, m, n in parts]
        version = fields.pop("version", 1)
        d.ask(f"quotas of {title}", "DescribeClientQuotas", version, components=rows, **fields)

    exact, default, any_of = 0, 1, 2
    for version in range(2):
        describe(f"all v{version}", version=version)
    describe("all, strictly", strict=True)
    for strict in (False, True):
        describe(f"ann {strict}", ("user", exact, "ann"), strict=strict)
        describe(f"any user {strict}", ("user", any_of, None), strict=strict)
        describe(f"the default user {strict}", ("user", default, None), strict=strict)
        describe(
            f"ann and any client {strict}",
            ("user", exact, "ann"),
            ("client-id", any_of, None),
            strict=strict,
        )
        describe(f"any ip {strict}", ("ip", any_of, None), strict=strict)
    describe("ip and user", ("ip", any_of, None), ("user", any_of, None))
    describe("user twice", ("user", any_of, None), ("user", exact, "ann"))
    describe("unknown type", ("group", any_of, None))
    describe("empty type", ("", any_of, None))
    describe("unknown match", ("user", 3, None))
    describe("negative match", ("user", -1, None))
    describe("exact without name", ("user", exact, None))
    describe("default with name", ("user", default, "ann"))
    describe("any with name", ("user", any_of, "ann"))
    describe("nobody", ("user", exact, "nobody"))


def _users(d: Dialogue) -> None:
    def alter(title: str, deletions: Any = (), upsertions: Any = ()) -> None:
        d.ask(
            f"users: {title}",
            "AlterUserScramCredentials",
            0,
            deletions=[{"name": n, "mechanism": m} for n, m in deletions],
            upsertions=[
                {"name": n, "mechanism": m, "iterations": i, "salt": b"s", "salted_password": p}
                for n, m, i, p in upsertions
            ],
        )

    password = bytes(32)
    alter("add", upsertions=[("ann", 1, 4096, password)])
    alter("add another", upsertions=[("bob", 2, 8192, bytes(64))])
    alter("few iterations", upsertions=[("eve", 1, 4095, password)])
    alter("many iterations", upsertions=[("eve", 1, 16385, password)])
    alter("unknown mechanism", upsertions=[("eve", 0, 4096, password)])
    alter("mechanism 3", upsertions=[("eve", 3, 4096, password)])
    alter("no name", upsertions=[("", 1, 4096, password)])
    alter("no password", upsertions=[("eve", 1, 4096, b"")])
    alter("twice", upsertions=[("eve", 1, 4096, password), ("eve", 1, 4096, password)])
    alter("delete and add", [("ann", 1)], [("ann", 1, 4096, password)])
    alter("delete unknown", [("nobody", 1)])
    alter("delete by unknown mechanism", [("ann", 9)])
    alter("none")
    alter("one mechanism", upsertions=[("joe", 1, 4096, password)])
    both = ("joe", 1, 4096, password), ("joe", 2, 4096, bytes(64))
    alter("both mechanisms", upsertions=both)
    alter(
        "both, one with few iterations",
        upsertions=[("kim", 1, 4096, password), ("kim", 2, 1, b"p")],
    )
    alter("delete one and add the other", [("joe", 1)], [("joe", 2, 8192, bytes(64))])
    alter("delete one there and one not", [("joe", 2), ("joe", 1)])
    alter("two wrong in two ways", [("joe", 1)], [("joe", 2, 1, bytes(64))])
    alter("unknown mechanism twice", upsertions=[("eve", 9, 4096, password)] * 2)

    def describe(title: str, users: Any) -> None:
        rows = None if users is None else [{"name": name} for name in users]
        d.ask(f"users described: {title}", "DescribeUserScramCredentials", 0, users=rows)

    describe("all", None)
    describe("none named", [])
    describe("one", ["ann"])
    describe("unknown", ["nobody", "bob"])
    describe("twice", ["ann", "ann"])
    describe("empty", [""])
    describe("some", ["joe", "kim"])


def _access(d: Dialogue) -> None:
    rule = {
        "resource_type": 2,
        "resource_name": "a",
        "resource_pattern_type": 3,
        "principal": "User:ann",
        "host": "*",
        "operation": 3,
        "permission_type": 3,
    }
    match = {
        "pattern_type_filter": 1,
        "resource_type_filter": 1,
        "operation": 1,
        "permission_type": 1,
    }
    for version in range(1, 4):
        d.ask(f"rules v{version}", "DescribeAcls", version, **match)
        d.ask(f"new rule v{version}", "CreateAcls", version, creations=[rule])
        d.ask(f"rules away v{version}", "DeleteAcls", version, filters=[match])


def _telemetry(d: Dialogue) -> None:
    client = bytes(range(16))
    d.ask("telemetry without subscription", "GetTelemetrySubscriptions", 0)
    d.ask("telemetry pushed by a client without id", "PushTelemetry", 0, by="p")
    for title, fields in (
        ("unknown subscription", {"subscription_id": 1}),
        ("unknown compression", {"compression_type": 9}),
        ("end", {"terminating": True}),
    ):
        d.ask(
            f"telemetry pushed with {title}",
            "PushTelemetry",
            0,
            by="p" + title,
            client_instance_id=client,
            **fields,
        )


def _reassignments(d: Dialogue) -> None:
    d.try_to_ask(
        "CreateTopics",
        7,
        topics=[{"name": "moved", "num_partitions": 2, "replication_factor": 1}],
        timeout_ms=10_000,
    )

    def move(title: str, topic: str, index: int, replicas: list[int] | None, **fields: Any) -> None:
        row = {"name": topic, "partitions": [{"partition_index": index, "replicas": replicas}]}
        version = fields.pop("version", 1)
        fields = {"timeout_ms": 10_000} | fields
        d.ask(f"move {title}", "AlterPartitionReassignments", version, topics=[row], **fields)

    for version in range(2):
        move(f"to where it is v{version}", "moved", 0, [1], version=version)
    move("to a stranger", "moved", 0, [2])
    move("to more", "moved", 0, [1, 2])
    move("to more, forbidden", "moved", 0, [1, 2], allow_replication_factor_change=False)
    move("to one twice", "moved", 0, [1, 1])
    move("to nobody", "moved", 0, [])
    move("back", "moved", 0, None)
    move("an unknown partition", "moved", 9, [1])
    move("an unknown topic", "nobody", 0, [1])
    move("an unknown topic back", "nobody", 0, None)
    move("an unknown partition back", "moved", 9, None)
    move("to a negative broker", "moved", 0, [-1])
    row = {"name": "moved", "partitions": [{"partition_index": 0, "replicas": [1]}] * 2}
    d.ask("move twice", "AlterPartitionReassignments", 1, topics=[row], timeout_ms=10_000)
    d.ask("move nothing", "AlterPartitionReassignments", 1, topics=[], timeout_ms=10_000)
    for title, topics in (
        ("all", None),
        ("one", [{"name": "moved", "partition_indexes": [0]}]),
        ("unknown", [{"name": "nobody", "partition_indexes": [0]}]),
        ("none", []),
    ):
        d.ask(
            f"moves of {title}", "ListPartitionReassignments", 0, topics=topics, timeout_ms=10_000
        )

    def elect(title: str, kind: int, rows: Any, version: int = 2) -> None:
        topics = None if rows is None else [{"topic": t, "partitions": p} for t, p in rows]
        fields = {"election_type": kind} if version else {}
        d.ask(
            f"election {title}",
            "ElectLeaders",
            version,
            topic_partitions=topics,
            timeout_ms=10_000,
            **fields,
        )

    for version in range(3):
        elect(f"preferred v{version}", 0, [("moved", [0])], version)
    elect("unclean", 1, [("moved", [0])])
    elect("of all", 0, None)
    elect("unclean of all", 1, None)
    elect("of an unknown kind", 2, [("moved", [0])])
    elect("of a negative kind", -1, [("moved", [0])])
    elect("of an unknown topic", 0, [("nobody", [0])])
    elect("of an unknown partition", 0, [("moved", [0, 9, -1])])
    elect("of a partition twice", 0, [("moved", [0, 0])])
    elect("of nothing", 0, [])
