"""Requests and answers: refusals, silence, and handlers that fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.wire import Closed, Wire

from pylog.apis import k03_metadata, k60_describe_cluster
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_cluster import DescribeClusterRequest
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.server.dispatch import Unanswerable, error_response
from pylog.testing import Broker


@pytest.fixture
def wire(pylog_broker: Broker) -> Iterator[Wire]:
    with Wire(pylog_broker.bootstrap) as wire:
        yield wire


def replace_handler(monkeypatch: pytest.MonkeyPatch, module: Any, outcome: Any) -> None:
    async def handle(request: Any, context: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "handle", handle)


def test_a_refusal_is_the_error_of_the_answer(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    error = ApiError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "not you")
    replace_handler(monkeypatch, k60_describe_cluster, error)
    answer = wire.ask(DescribeClusterRequest())
    assert answer.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    assert answer.error_message == "not you"


def test_a_refusal_without_a_place_in_the_answer_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    replace_handler(monkeypatch, k03_metadata, ApiError(ErrorCode.INVALID_REQUEST))
    assert wire.ask(MetadataRequest(topics=[]), 13).error_code == ErrorCode.INVALID_REQUEST
    with pytest.raises(Closed):
        wire.ask(MetadataRequest(topics=[]), 12)


def test_a_handler_that_fails_is_logged_with_its_traceback_and_closes_its_connection(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pylog_broker: Broker,
    wire: Wire,
) -> None:
    replace_handler(monkeypatch, k60_describe_cluster, LookupError("a bug"))
    with pytest.raises(Closed), caplog.at_level(logging.ERROR):
        wire.ask(DescribeClusterRequest())
    (record,) = (r for r in caplog.records if r.name == "pylog.server.dispatch")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
    assert (record.api, record.client) == ("DescribeCluster", "wire")  # type: ignore[attr-defined]
    with Wire(pylog_broker.bootstrap) as other:
        assert other.ask(MetadataRequest(topics=[])).topics == []


def test_an_answer_that_does_not_fit_its_version_is_a_bug_like_others(
    monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    answer = k60_describe_cluster.DescribeClusterResponse(cluster_id=None)  # type: ignore[arg-type]
    replace_handler(monkeypatch, k60_describe_cluster, answer)
    with pytest.raises(Closed):
        wire.ask(DescribeClusterRequest())


def test_a_request_may_stay_without_an_answer(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    replace_handler(monkeypatch, k60_describe_cluster, None)
    wire.send(DescribeClusterRequest(), 0)
    assert wire.ask(MetadataRequest(topics=[])).topics == []


@pytest.mark.parametrize(
    ("key", "version", "has_place"),
    [(3, 13, True), (3, 12, False), (2, 11, False), (60, 0, True), (43, 0, False), (43, 1, True)],
)
def test_an_error_needs_a_place_in_that_version(key: int, version: int, has_place: bool) -> None:
    if has_place:
        response: Any = error_response(key, version, ErrorCode.INVALID_REQUEST)
        assert response.error_code == ErrorCode.INVALID_REQUEST
    else:
        with pytest.raises(Unanswerable, match="INVALID_REQUEST"):
            error_response(key, version, ErrorCode.INVALID_REQUEST)
