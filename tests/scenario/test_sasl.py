"""Listeners that want authentication, over bare messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from tests.support.wire import Closed, Wire

from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from pylog.protocol.messages.api_versions import ApiVersionsRequest
from pylog.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.produce import ProduceRequest
from pylog.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pylog.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pylog.testing import Broker

SASL = {
    "listeners": "SASL_PLAINTEXT://127.0.0.1:0",
    "sasl.plain.users": "ann:secret,bob:other",
    "connection.failed.authentication.delay.ms": "1",
}
GOOD = b"\0ann\0secret"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(SASL) as broker:
        yield broker


@pytest.fixture
def client(broker: Broker) -> Iterator[Wire]:
    with Wire(broker.bootstrap) as wire:
        yield wire


def authenticate(wire: Wire, token: bytes = GOOD) -> int:
    assert wire.ask(SaslHandshakeRequest(mechanism="PLAIN")).error_code == 0
    return int(wire.ask(SaslAuthenticateRequest(auth_bytes=token)).error_code)


def is_closed(wire: Wire) -> bool:
    try:
        wire.receive()
    except Closed:
        return True
    return False


def test_who_authenticates_is_served(client: Wire) -> None:
    versions = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    assert client.ask(versions).error_code == 0
    assert authenticate(client) == ErrorCode.NONE
    assert client.ask(MetadataRequest(topics=[])).brokers


@pytest.mark.parametrize(
    "request_", [MetadataRequest(topics=[]), ProduceRequest(acks=1, timeout_ms=1)]
)
def test_who_does_not_is_turned_away_in_both_lanes(client: Wire, request_: MetadataRequest) -> None:
    client.send(request_, 9)
    assert is_closed(client)


@pytest.mark.parametrize("token", [b"\0ann\0wrong", b"\0eve\0secret", b"", b"nonsense"])
def test_a_wrong_password_is_told_and_the_connection_closed(client: Wire, token: bytes) -> None:
    assert authenticate(client, token) == ErrorCode.SASL_AUTHENTICATION_FAILED
    assert is_closed(client)


def test_a_mechanism_that_is_not_enabled_is_refused_with_those_that_are(client: Wire) -> None:
    answer = client.ask(SaslHandshakeRequest(mechanism="GSSAPI"))
    assert answer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM
    assert answer.mechanisms == ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    assert is_closed(client)


def test_bare_tokens_follow_a_handshake_of_version_0(client: Wire) -> None:
    assert client.ask(SaslHandshakeRequest(mechanism="PLAIN"), 0).error_code == 0
    client.send_frame(GOOD)
    assert client.receive() == b""
    assert client.ask(MetadataRequest(topics=[])).brokers


def test_a_wrong_bare_token_closes_the_connection(client: Wire) -> None:
    client.ask(SaslHandshakeRequest(mechanism="PLAIN"), 0)
    client.send_frame(b"x")
    assert is_closed(client)


def test_a_connection_authenticates_again_but_not_as_somebody_else(client: Wire) -> None:
    assert authenticate(client) == ErrorCode.NONE
    assert authenticate(client) == ErrorCode.NONE
    assert client.ask(MetadataRequest(topics=[])).brokers
    assert authenticate(client, b"\0bob\0other") == ErrorCode.SASL_AUTHENTICATION_FAILED
    assert is_closed(client)


def test_a_large_frame_of_a_stranger_is_not_read(client: Wire) -> None:
    client._socket.sendall(struct.pack(">i", 1 << 20))
    assert is_closed(client)


def ask_for_ever(wire: Wire) -> None:
    while True:
        wire.ask(MetadataRequest(topics=[]))


def test_a_session_has_an_end() -> None:
    limited = SASL | {"connections.max.reauth.ms": "200"}
    with Broker(limited) as broker, Wire(broker.bootstrap) as wire:
        wire.ask(SaslHandshakeRequest(mechanism="PLAIN"))
        answer = wire.ask(SaslAuthenticateRequest(auth_bytes=GOOD))
        assert answer.session_lifetime_ms == 200
        with pytest.raises(Closed):
            ask_for_ever(wire)


def test_without_authentication_there_is_no_handshake() -> None:
    with Broker() as broker, Wire(broker.bootstrap) as wire:
        handshake = wire.ask(SaslHandshakeRequest(mechanism="PLAIN"))
        assert handshake.error_code == ErrorCode.ILLEGAL_SASL_STATE
        token = wire.ask(SaslAuthenticateRequest(auth_bytes=GOOD))
        assert token.error_code == ErrorCode.ILLEGAL_SASL_STATE


# ---- SCRAM credentials ----


def upsertion(name: str, **fields: object) -> ScramCredentialUpsertion:
    values = {"mechanism": 1, "iterations": 8192, "salt": b"salt", "salted_password": b"x" * 32}
    return ScramCredentialUpsertion(name=name, **(values | fields))


def alter(wire: Wire, **changes: object) -> dict[str, int]:
    answer = wire.ask(AlterUserScramCredentialsRequest(**changes))
    return {result.user: result.error_code for result in answer.results}


def described(wire: Wire, *names: str) -> dict[str, tuple[int, list[tuple[int, int]]]]:
    """Error, and mechanism and iterations of each credential, by user; without names of all."""
    users = [UserName(name=name) for name in names] or None
    answer = wire.ask(DescribeUserScramCredentialsRequest(users=users))
    return {
        result.user: (
            result.error_code,
            [(info.mechanism, info.iterations) for info in result.credential_infos],
        )
        for result in answer.results
    }


def test_credentials_are_set_described_and_deleted(client: Wire, unique: str) -> None:
    authenticate(client)
    users = [upsertion(unique), upsertion("also-" + unique, mechanism=2, iterations=4096)]
    assert alter(client, upsertions=users) == dict.fromkeys([unique, "also-" + unique], 0)
    assert described(client, unique, "nobody", unique + "x", unique + "x") == {
        unique: (0, [(1, 8192)]),
        "nobody": (ErrorCode.RESOURCE_NOT_FOUND, []),
        unique + "x": (ErrorCode.DUPLICATE_RESOURCE, []),
    }
    every = described(client)
    assert (every[unique], every["also-" + unique]) == ((0, [(1, 8192)]), (0, [(2, 4096)]))
    gone = [ScramCredentialDeletion(name=unique, mechanism=1)]
    assert alter(client, deletions=gone) == {unique: 0}
    assert alter(client, deletions=gone) == {unique: ErrorCode.RESOURCE_NOT_FOUND}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (upsertion(""), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (upsertion("x", iterations=4095), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (upsertion("x", iterations=16385), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (upsertion("x", mechanism=0), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
    ],
)
def test_a_credential_that_can_not_be_is_refused_and_the_rest_is_done(
    client: Wire, unique: str, bad: ScramCredentialUpsertion, code: ErrorCode
) -> None:
    authenticate(client)
    results = alter(client, upsertions=[bad, upsertion(unique)])
    assert results == {bad.name: code, unique: 0}


def test_a_user_that_is_named_twice_is_not_altered(client: Wire, unique: str) -> None:
    authenticate(client)
    twice = [upsertion(unique), upsertion(unique, mechanism=2)]
    assert alter(client, upsertions=twice) == {unique: ErrorCode.DUPLICATE_RESOURCE}
