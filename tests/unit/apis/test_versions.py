"""ApiVersions, and what a request in a version that is not served is answered with."""

from __future__ import annotations

import struct

import pytest
from tests.support.wire import Closed, Wire

from pylog.protocol.api_keys import API_KEYS, decode_response
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.api_versions import ApiVersionsRequest
from pylog.protocol.messages.describe_cluster import DescribeClusterRequest
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.testing import Broker


def asked() -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name="test", client_software_version="1.0")


def header(key: int, version: int, correlation_id: int = 7) -> bytes:
    return struct.pack(">hhih", key, version, correlation_id, -1)


@pytest.mark.parametrize("version", range(6))
def test_what_is_listed_is_what_is_served(wire: Wire, broker: Broker, version: int) -> None:
    answer = wire.ask(asked(), version)
    listed = {item.api_key: (item.min_version, item.max_version) for item in answer.api_keys}
    served = {api.key: (api.min_version, api.max_version) for api in broker.server.handlers.served}
    assert answer.error_code == ErrorCode.NONE
    assert listed == served
    assert {0, 1, 2, 3, 18, 19, 20} <= set(listed)


def test_features_that_can_be_off_are_told_from_version_4_on(wire: Wire) -> None:
    names = [{item.name for item in wire.ask(asked(), v).supported_features} for v in (2, 3, 4)]
    assert names[0] == set()
    assert names[1] < names[2]
    finalized = {item.name for item in wire.ask(asked(), 4).finalized_features}
    assert "metadata.version" in finalized <= names[2]


@pytest.mark.parametrize("version", [6, 99])
def test_a_newer_client_is_told_the_versions_in_version_0(wire: Wire, version: int) -> None:
    wire.send_frame(header(18, version) + b"\0\1\2")
    number, answer = decode_response(18, 0, wire.receive())
    assert number == 7
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION  # type: ignore[attr-defined]
    assert answer.api_keys  # type: ignore[attr-defined]
    assert wire.ask(asked()).error_code == ErrorCode.NONE


@pytest.mark.parametrize("name", ["", "-x", "x-", "a b"])
def test_software_must_have_a_decent_name(wire: Wire, name: str) -> None:
    request = ApiVersionsRequest(client_software_name=name, client_software_version="1")
    assert wire.ask(request, 3).error_code == ErrorCode.INVALID_REQUEST
    assert wire.ask(request, 2).error_code == ErrorCode.NONE


def test_a_client_that_looks_for_another_cluster_is_sent_back(wire: Wire) -> None:
    cluster_id = wire.ask(DescribeClusterRequest()).cluster_id
    request = asked()
    request.cluster_id, request.node_id = cluster_id, 1
    assert wire.ask(request, 5).error_code == ErrorCode.NONE
    request.node_id = 2
    assert wire.ask(request, 5).error_code == ErrorCode.REBOOTSTRAP_REQUIRED
    request.cluster_id, request.node_id = "another", 1
    assert wire.ask(request, 5).error_code == ErrorCode.REBOOTSTRAP_REQUIRED


@pytest.mark.parametrize("version", [3, 50])
def test_an_unserved_version_gets_an_answer_where_there_is_a_place_for_it(
    wire: Wire, version: int
) -> None:
    wire.send_frame(header(60, version) + b"\0\0")
    latest = API_KEYS[60].max_version
    number, answer = decode_response(60, latest, wire.receive())
    assert (number, answer.error_code) == (7, ErrorCode.UNSUPPORTED_VERSION)  # type: ignore[attr-defined]
    assert wire.ask(asked()).error_code == ErrorCode.NONE


@pytest.mark.parametrize(
    "frame",
    [
        header(2, 99) + b"\0\0",  # ListOffsets has no error of its own
        header(7, 0),  # a key of long ago
        header(1234, 0),
        header(3, 13) + b"\0\xff\xff",  # not what Metadata 13 looks like
        header(3, 1) + b"",  # cut off
    ],
)
def test_what_can_not_be_answered_closes_its_connection_and_no_other(
    broker: Broker, wire: Wire, frame: bytes
) -> None:
    with Wire(broker.bootstrap) as bad:
        bad.send_frame(frame)
        with pytest.raises(Closed):
            bad.receive()
    assert wire.ask(MetadataRequest(topics=[])).topics == []
