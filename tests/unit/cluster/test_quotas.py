"""Which quota holds for whom, what a filter matches, and the quota of mutations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from pylog.cluster.image import Image, QuotaEntity
from pylog.cluster.metadata import Metadata
from pylog.cluster.quotas import (
    Alteration,
    Match,
    MutationQuota,
    Quotas,
    candidates,
    engine_rules,
)
from pylog.cluster.sqlite_store import SqliteStore
from pylog.engine.values import QuotaMatch, QuotaRule
from pylog.protocol.errors import ApiError, ErrorCode

ANN = (("user", "ann"),)
ANN_APP = (("client-id", "app"), ("user", "ann"))
ANYBODY = (("user", None),)


@pytest_asyncio.fixture
async def metadata(tmp_path: Path) -> Iterator[Metadata]:
    store = SqliteStore(tmp_path / "store")
    metadata = Metadata(store)
    await metadata.start()
    yield metadata
    await metadata.stop()
    await store.close()


def code_of(result: ApiError | None) -> ErrorCode:
    return ErrorCode.NONE if result is None else result.code


async def test_quotas_are_set_altered_and_removed_one_by_one(metadata: Metadata) -> None:
    quotas = Quotas(metadata)
    first = [("producer_byte_rate", 1000.0), ("request_percentage", 12.5)]
    assert await quotas.alter([Alteration(ANN, first)]) == [None]
    assert quotas.limit_time
    assert metadata.image.quotas == {ANN: dict(first)}
    await quotas.alter(
        [Alteration(ANN, [("producer_byte_rate", 5.0), ("request_percentage", None)])]
    )
    assert metadata.image.quotas == {ANN: {"producer_byte_rate": 5.0}}
    assert not quotas.limit_time
    await quotas.alter([Alteration(ANN, [("producer_byte_rate", None)])])
    assert metadata.image.quotas == {}


async def test_one_order_of_the_parts_of_an_entity_is_as_good_as_another(
    metadata: Metadata,
) -> None:
    quotas = Quotas(metadata)
    await quotas.alter([Alteration(ANN_APP[::-1], [("producer_byte_rate", 7.0)])])
    assert list(metadata.image.quotas) == [ANN_APP]


async def test_nothing_is_written_when_only_validated(metadata: Metadata) -> None:
    alteration = Alteration(ANN, [("producer_byte_rate", 7.0)])
    assert await Quotas(metadata).alter([alteration], validate_only=True) == [None]
    assert metadata.image.quotas == {}


@pytest.mark.parametrize(
    ("entity", "values"),
    [
        ((), [("producer_byte_rate", 1.0)]),
        ((("group", "g"),), [("producer_byte_rate", 1.0)]),
        ((("user", "a"), ("user", "b")), [("producer_byte_rate", 1.0)]),
        ((("user", "a"), ("ip", "::1")), [("producer_byte_rate", 1.0)]),
        ((("ip", "nowhere"),), [("connection_creation_rate", 1.0)]),
        ((("ip", "::1"),), [("producer_byte_rate", 1.0)]),
        (ANN, [("connection_creation_rate", 1.0)]),
        (ANN, [("unheard_of", 1.0)]),
        (ANN, [("producer_byte_rate", 0.0)]),
        (ANN, [("producer_byte_rate", -1.0)]),
        (ANN, [("producer_byte_rate", float("nan"))]),
        (ANN, [("producer_byte_rate", 1.5)]),
        (ANN, [("producer_byte_rate", 1e30)]),
        (ANN, [("request_percentage", float("inf"))]),
        (ANN, [("producer_byte_rate", 1.0), ("producer_byte_rate", 2.0)]),
    ],
)
async def test_what_makes_no_sense_is_refused_and_the_rest_is_done(
    metadata: Metadata, entity: QuotaEntity, values: list[tuple[str, float]]
) -> None:
    good = Alteration(ANYBODY, [("consumer_byte_rate", 3.0)])
    results = await Quotas(metadata).alter([Alteration(entity, values), good])
    assert [code_of(result) for result in results] == [ErrorCode.INVALID_REQUEST, ErrorCode.NONE]
    assert list(metadata.image.quotas) == [ANYBODY]


async def test_a_filter_matches_names_defaults_and_types(metadata: Metadata) -> None:
    quotas = Quotas(metadata)
    entities = [ANN, ANN_APP, ANYBODY, (("ip", "10.0.0.1"),)]
    for entity in entities:
        name = "connection_creation_rate" if entity[0][0] == "ip" else "producer_byte_rate"
        await quotas.alter([Alteration(entity, [(name, 1.0)])])

    def found(*matches: Match, strict: bool = False) -> list[QuotaEntity]:
        return list(quotas.describe(matches, strict=strict))

    assert found() == entities
    assert found(strict=True) == []
    assert found(Match("user", "ann")) == [ANN, ANN_APP]
    assert found(Match("user", "ann"), strict=True) == [ANN]
    assert found(Match("user", None)) == [ANYBODY]
    assert found(Match("user", any_name=True)) == [ANN, ANN_APP, ANYBODY]
    assert found(Match("user", "ann"), Match("client-id", any_name=True)) == [ANN_APP]
    assert found(Match("ip", any_name=True)) == [entities[3]]


@pytest.mark.parametrize(
    ("matches", "code"),
    [
        ([Match("")], ErrorCode.INVALID_REQUEST),
        ([Match("group", "g")], ErrorCode.UNSUPPORTED_VERSION),
        ([Match("user", "a"), Match("user", "b")], ErrorCode.INVALID_REQUEST),
        ([Match("ip", "::1"), Match("user", "b")], ErrorCode.INVALID_REQUEST),
    ],
)
async def test_filters_that_make_no_sense_are_refused(
    metadata: Metadata, matches: list[Match], code: ErrorCode
) -> None:
    with pytest.raises(ApiError) as refused:
        Quotas(metadata).describe(matches, strict=False)
    assert refused.value.code == code


def test_the_engine_is_told_what_it_enforces_and_no_more() -> None:
    quotas: Mapping[QuotaEntity, Mapping[str, float]] = {
        ANN_APP: {"producer_byte_rate": 1.0, "controller_mutation_rate": 2.0},
        ANYBODY: {"request_percentage": 3.0},
        (("client-id", "x"),): {"controller_mutation_rate": 4.0},
        (("ip", "::1"),): {"connection_creation_rate": 5.0},
        (("client-id", "::1"),): {"producer_byte_rate": 6.0},
    }
    assert engine_rules(quotas) == [
        QuotaRule((QuotaMatch.NAMED, "ann"), (QuotaMatch.NAMED, "app"), (1.0, None, None, None)),
        QuotaRule((QuotaMatch.DEFAULT, ""), (QuotaMatch.ANY, ""), (None, None, 3.0, None)),
        QuotaRule((QuotaMatch.ANY, ""), (QuotaMatch.NAMED, "::1"), (6.0, None, None, 5.0)),
    ]


def test_the_order_of_precedence_is_kafkas() -> None:
    order = [entity for entity, _ in candidates("ann", "app")]
    assert order == [
        (("client-id", "app"), ("user", "ann")),
        (("client-id", None), ("user", "ann")),
        (("user", "ann"),),
        (("client-id", "app"), ("user", None)),
        (("client-id", None), ("user", None)),
        (("user", None),),
        (("client-id", "app"),),
        (("client-id", None),),
    ]


class Mutations:
    """A quota of two mutations a second for each user, and a clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.image = Image(quotas={ANYBODY: {"controller_mutation_rate": 2.0}})
        self.quota = MutationQuota(lambda: self.image, lambda: self.now_s)

    def charge(self, user: str, mutations: int, *, strict: bool = True) -> int:
        return self.quota.charge(user, "app", mutations, strict=strict)


def test_a_burst_is_allowed_and_may_be_overdrawn_once() -> None:
    mutations = Mutations()
    assert mutations.charge("ann", 22) == 0
    assert mutations.charge("ann", 4) == 2000
    with pytest.raises(ApiError) as refused:
        mutations.charge("ann", 1)
    assert refused.value.code == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    assert mutations.quota.wait("ann", "app") == 2000
    mutations.now_s += 2
    assert mutations.charge("ann", 1) == 500


def test_an_old_client_is_served_and_waits() -> None:
    mutations = Mutations()
    assert mutations.charge("ann", 24, strict=False) == 1000
    assert mutations.charge("ann", 2, strict=False) == 2000


def test_users_under_a_default_have_a_quota_each() -> None:
    mutations = Mutations()
    assert mutations.charge("ann", 24) == 1000
    assert mutations.charge("bob", 22) == 0


def test_without_a_quota_nothing_is_counted() -> None:
    mutations = Mutations()
    mutations.charge("ann", 50)
    mutations.image = Image()
    assert mutations.charge("ann", 1000) == 0
