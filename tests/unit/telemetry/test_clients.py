"""Dialogues of clients that push metrics: (request, time) and what is answered."""

from __future__ import annotations

import pytest
from tests.unit.telemetry.otlp_samples import GAUGE, delta_sum, double, metric, metrics_data, point

from pylog.codec import Compression, compress
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.telemetry import clients
from pylog.telemetry.clients import Asked, ClientMetrics
from pylog.telemetry.subscriptions import ClientIdentity, subscription_of

ZERO = bytes(16)
ANN = ClientIdentity("", "ann", "librdkafka", "2.6.0", "10.0.0.1", "")
BOB = ANN._replace(client_id="bob", client_software_name="apache-kafka-java")
EVERY_SECOND = {"metrics": "a.,b.", "interval.ms": "1000"}


class Broker:
    """The broker's side, with a clock in ms."""

    def __init__(self, **subscriptions: dict[str, str]) -> None:
        self.metrics = ClientMetrics(max_bytes=1000)
        self.metrics.configure(subscriptions)
        self.now_ms = 0.0

    def ask(self, instance_id: bytes = ZERO, client: ClientIdentity = ANN) -> Asked:
        return self.metrics.ask(instance_id, client, self.now_ms)

    def push(
        self,
        asked: Asked,
        payload: bytes = b"",
        compression: int = 0,
        *,
        client: ClientIdentity = ANN,
        terminating: bool = False,
    ) -> None:
        self.metrics.push(
            asked.instance_id,
            asked.subscription_id,
            client,
            payload,
            compression,
            terminating=terminating,
            now_ms=self.now_ms,
        )

    def values(self) -> dict[str, float]:
        return {point.name: point.value for _, point in self.metrics.series(self.now_ms)}


def refused(code: ErrorCode) -> pytest.RaisesContext[ApiError]:
    return pytest.raises(ApiError, match=code.name)


def gauge(name: str, value: float) -> bytes:
    return metrics_data(metric(name, GAUGE, point(double(4, value))))


def test_a_client_is_given_an_id_and_told_what_to_push() -> None:
    asked = Broker(one=EVERY_SECOND).ask()
    assert asked.instance_id != ZERO
    assert (asked.interval_ms, asked.metrics) == (1000, ["a.", "b."])


def test_without_a_subscription_nothing_is_asked_for() -> None:
    asked = Broker().ask()
    assert (asked.interval_ms, asked.metrics) == (300_000, [])


def test_all_subscriptions_that_match_are_joined() -> None:
    broker = Broker(
        one={"metrics": "a.", "interval.ms": "5000", "match": "client_id=a.*"},
        two={"metrics": "b.", "interval.ms": "2000", "match": "client_software_version=2\\.6\\..*"},
        other={"metrics": "c.", "interval.ms": "100", "match": "client_software_name=kafka"},
    )
    asked = broker.ask()
    assert (asked.interval_ms, asked.metrics) == (2000, ["a.", "b."])


def test_everything_includes_all_prefixes() -> None:
    assert Broker(one={"metrics": "a."}, two={"metrics": "*"}).ask().metrics == ["*"]


def test_a_client_that_asks_too_early_is_throttled() -> None:
    broker = Broker(one=EVERY_SECOND)
    asked = broker.ask()
    broker.now_ms = 999
    with refused(ErrorCode.THROTTLING_QUOTA_EXCEEDED):
        broker.ask(asked.instance_id)
    broker.now_ms = 1000
    assert broker.ask(asked.instance_id) == asked


def test_the_first_push_may_be_early_and_the_next_may_not() -> None:
    broker = Broker(one=EVERY_SECOND)
    broker.now_ms = 5000
    asked = broker.ask()
    broker.now_ms += 10
    broker.push(asked)
    broker.now_ms += 999
    with refused(ErrorCode.THROTTLING_QUOTA_EXCEEDED):
        broker.push(asked)
    broker.now_ms += 1
    broker.push(asked)


def test_a_last_push_may_come_at_any_time_but_nothing_after_it() -> None:
    broker = Broker(one=EVERY_SECOND)
    asked = broker.ask()
    broker.push(asked)
    broker.push(asked, gauge("last", 1), terminating=True)
    assert broker.values() == {"last": 1}
    broker.now_ms += 5000
    with refused(ErrorCode.INVALID_REQUEST):
        broker.push(asked)


def test_a_changed_subscription_is_told_at_the_next_push() -> None:
    broker = Broker(one=EVERY_SECOND)
    asked = broker.ask()
    broker.push(asked)
    broker.metrics.configure({"one": {"metrics": "c.", "interval.ms": "1000"}})
    broker.now_ms += 1000
    with refused(ErrorCode.UNKNOWN_SUBSCRIPTION_ID):
        broker.push(asked)
    again = broker.ask(asked.instance_id)
    assert again.metrics == ["c."]
    assert again.subscription_id != asked.subscription_id
    broker.push(again)


def test_deltas_add_up_and_gauges_are_replaced() -> None:
    broker = Broker(one=EVERY_SECOND)
    asked = broker.ask()
    for value in (2, 3):
        payload = metrics_data(
            delta_sum("sum", value), metric("gauge", GAUGE, point(double(4, value)))
        )
        broker.push(asked, payload)
        broker.now_ms += 1000
    assert broker.values() == {"sum": 5, "gauge": 3}


def test_numbers_survive_a_change_of_the_subscription() -> None:
    broker = Broker(one=EVERY_SECOND)
    asked = broker.ask()
    broker.push(asked, metrics_data(delta_sum("sum", 2)))
    broker.metrics.configure({"one": {"metrics": "s", "interval.ms": "1000"}})
    again = broker.ask(asked.instance_id)
    broker.push(again, metrics_data(delta_sum("sum", 2)))
    assert broker.values() == {"sum": 4}


@pytest.mark.parametrize("compression", list(Compression))
def test_payloads_come_in_every_compression(compression: Compression) -> None:
    broker = Broker(one=EVERY_SECOND)
    broker.push(broker.ask(), compress(gauge("g", 4), compression), compression)
    assert broker.values() == {"g": 4}


def test_what_is_no_payload_is_refused() -> None:
    broker = Broker(one=EVERY_SECOND)
    bomb = compress(bytes(1_000_000), Compression.GZIP)
    for payload, compression, code in [
        (b"\xff", 0, ErrorCode.INVALID_RECORD),
        (b"no gzip", 1, ErrorCode.INVALID_RECORD),
        (bytes(1001), 0, ErrorCode.TELEMETRY_TOO_LARGE),
        (bomb[:1000], 1, ErrorCode.INVALID_RECORD),
        (b"", 5, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    ]:
        asked = broker.ask()
        with refused(code):
            broker.push(asked, payload, compression)


def test_a_payload_that_grows_too_large_is_refused() -> None:
    broker = Broker(one=EVERY_SECOND)
    bomb = compress(bytes(20_000), Compression.ZSTD)
    assert len(bomb) < broker.metrics.max_bytes
    with refused(ErrorCode.INVALID_RECORD):
        broker.push(broker.ask(), bomb, Compression.ZSTD)


@pytest.mark.parametrize("instance_id", [ZERO, (1).to_bytes(16, "big")])
def test_ids_that_are_nobodys_can_not_push(instance_id: bytes) -> None:
    broker = Broker(one=EVERY_SECOND)
    with refused(ErrorCode.INVALID_REQUEST):
        broker.push(Asked(instance_id, 0, 0, []))


def test_silent_clients_are_forgotten() -> None:
    broker = Broker(one=EVERY_SECOND)
    broker.push(broker.ask(), gauge("g", 1))
    broker.now_ms = 60_001
    assert broker.values() == {}
    assert broker.metrics.count(broker.now_ms) == 0


def test_the_number_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_CLIENTS", 3)
    broker = Broker(one=EVERY_SECOND)
    for _ in range(5):
        broker.ask()
    assert broker.metrics.count(broker.now_ms) == 3


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"interval.ms": "99"}, ErrorCode.INVALID_REQUEST),
        ({"interval.ms": "3600001"}, ErrorCode.INVALID_REQUEST),
        ({"interval.ms": "soon"}, ErrorCode.INVALID_CONFIG),
        ({"unheard.of": "1"}, ErrorCode.INVALID_REQUEST),
        ({"match": "client_id"}, ErrorCode.INVALID_CONFIG),
        ({"match": "client_id="}, ErrorCode.INVALID_CONFIG),
        ({"match": "client_id=("}, ErrorCode.INVALID_CONFIG),
        ({"match": "shoe_size=44"}, ErrorCode.INVALID_CONFIG),
    ],
)
def test_settings_that_make_no_sense_are_refused(texts: dict[str, str], code: ErrorCode) -> None:
    with refused(code):
        subscription_of(texts)


def test_a_pattern_has_to_match_the_whole_value() -> None:
    subscription = subscription_of({"match": "client_id=an"})
    assert not subscription.applies_to(ANN)
    assert subscription_of({"match": "client_id=an."}).applies_to(ANN)
    assert not subscription_of({"match": "client_id=an."}).applies_to(BOB)
