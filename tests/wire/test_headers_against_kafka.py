"""Headers and advertised versions are Kafka's, for every key that is served."""

from __future__ import annotations

import pytest
from tests.wire.oracle import Oracle
from tests.wire.samples import Sampler, versions

from pylog.protocol import api_keys
from pylog.protocol.api_keys import ApiKey
from pylog.protocol.message import Message
from pylog.protocol.wire import encode

SERVED = [pytest.param(api, id=api.name) for api in api_keys.SERVED]


@pytest.mark.parametrize("api", SERVED)
def test_versions_are_advertised_as_kafka_does(api: ApiKey, oracle: Oracle) -> None:
    request = api_keys.request_class(api.key)
    assert oracle.served_versions(request) == (api.key, api.min_version, api.max_version)
    assert request.API_KEY == api_keys.response_class(api.key).API_KEY == api.key


@pytest.mark.parametrize("api", SERVED)
@pytest.mark.parametrize("client_id", [None, "", "me", "\u00e9" * 200])
def test_kafka_reads_our_request_headers(
    api: ApiKey, client_id: str | None, oracle: Oracle
) -> None:
    for version in versions(api_keys.request_class(api.key)):
        message = Sampler(1).message(api_keys.request_class(api.key), version)
        frame = api_keys.encode_request(api.key, version, 77, client_id, message)
        header = api_keys.decode_request_header(frame)
        assert frame[header.size :] == encode(message, version)
        header_version, _ = oracle.header_versions(type(message), version)
        assert oracle.decode_header("RequestHeader", header_version, frame[: header.size]) == {
            "requestApiKey": header.api_key,
            "requestApiVersion": header.api_version,
            "correlationId": header.correlation_id,
            "clientId": client_id,
        }


@pytest.mark.parametrize("api", SERVED)
def test_kafka_reads_our_response_headers(api: ApiKey, oracle: Oracle) -> None:
    cls: type[Message] = api_keys.response_class(api.key)
    for version in versions(cls):
        message = Sampler(1).message(cls, version)
        frame = api_keys.encode_response(api.key, version, -5, message)
        assert api_keys.decode_response(api.key, version, frame) == (-5, message)
        header = frame[: len(frame) - len(encode(message, version))]
        _, header_version = oracle.header_versions(cls, version)
        assert oracle.decode_header("ResponseHeader", header_version, header) == {
            "correlationId": -5
        }
