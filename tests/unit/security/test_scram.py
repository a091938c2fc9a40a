"""SCRAM: the example of RFC 7677, a client of our own, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylog.security.credentials import Credential, ScramMechanism
from pylog.security.sasl import AuthenticationFailed
from pylog.security.scram import Scram, credential_of

SHA_256, SHA_512 = ScramMechanism


def credential(mechanism: ScramMechanism, password: str, salt: bytes = b"salt") -> Credential:
    salted = hashlib.pbkdf2_hmac(mechanism.hash_name, password.encode(), salt, 4096)
    return credential_of(mechanism, salt, 4096, salted)


def test_the_example_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    users = {"user": credential(SHA_256, "pencil", salt)}
    server = Scram(SHA_256, users.get, lambda: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    first = server.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert first.user is None
    assert first.token == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    last = server.step(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert last.token == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert last.user == "user"


class Client:
    """The client's side."""

    def __init__(self, mechanism: ScramMechanism, user: str, password: str) -> None:
        self._hash = mechanism.hash_name
        self._password = password.encode()
        escaped = user.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={escaped},r=abc"

    def first(self) -> bytes:
        return f"n,,{self.first_bare}".encode()

    def final(self, server_first: bytes, *, binding: bytes = b"n,,", nonce_end: str = "") -> bytes:
        text = server_first.decode()
        nonce, salt, iterations = (part.partition("=")[2] for part in text.split(","))
        salted = hashlib.pbkdf2_hmac(
            self._hash, self._password, base64.b64decode(salt), int(iterations)
        )
        key = hmac.digest(salted, b"Client Key", self._hash)
        without_proof = f"c={base64.b64encode(binding).decode()},r={nonce}{nonce_end}"
        signed = f"{self.first_bare},{text},{without_proof}".encode()
        signature = hmac.digest(hashlib.new(self._hash, key).digest(), signed, self._hash)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def authenticate(
    mechanism: ScramMechanism, user: str, password: str, users: dict[str, Credential]
) -> str | None:
    server, client = Scram(mechanism, users.get), Client(mechanism, user, password)
    return server.step(client.final(server.step(client.first()).token)).user


@pytest.mark.parametrize("mechanism", list(ScramMechanism))
@pytest.mark.parametrize("user", ["ann", "a=b,c", "ünï"])
def test_who_knows_the_password_is_let_in(mechanism: ScramMechanism, user: str) -> None:
    users = {user: credential(mechanism, "secret")}
    assert authenticate(mechanism, user, "secret", users) == user


@pytest.mark.parametrize("mechanism", list(ScramMechanism))
def test_who_does_not_is_refused(mechanism: ScramMechanism) -> None:
    users = {"ann": credential(mechanism, "secret")}
    with pytest.raises(AuthenticationFailed, match="invalid credentials"):
        authenticate(mechanism, "ann", "wrong", users)


def test_nobody_learns_who_exists() -> None:
    users = {"ann": credential(SHA_256, "secret")}
    answers = [Scram(SHA_256, users.get).step(b"n,,n=eve,r=abc").token for _ in range(2)]
    salts = [answer.split(b",s=")[1] for answer in answers]
    assert salts[0] == salts[1]
    with pytest.raises(AuthenticationFailed, match="invalid credentials"):
        authenticate(SHA_256, "eve", "", users)


def test_a_user_has_no_credential_of_the_other_mechanism() -> None:
    with pytest.raises(AuthenticationFailed):
        authenticate(SHA_512, "ann", "secret", {"ann": credential(SHA_256, "secret")})


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n=ann,r=abc",
        b"p=tls-unique,,n=ann,r=abc",
        b"n,,n=ann",
        b"n,,m=new,n=ann,r=abc",
        b"n,a=bob,n=ann,r=abc",
        b"\xff\xff",
    ],
)
def test_a_wrong_first_message_is_refused(message: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        Scram(SHA_256, lambda _: credential(SHA_256, "x")).step(message)


@pytest.mark.parametrize(
    ("good", "bad"),
    [(b"r=abc", b"r=abd"), (b"c=biws", b"c=eSws"), (b"p=", b"p=!"), (b",p=", b",q=")],
)
def test_a_wrong_final_message_is_refused(good: bytes, bad: bytes) -> None:
    users = {"ann": credential(SHA_256, "secret")}
    server, client = Scram(SHA_256, users.get), Client(SHA_256, "ann", "secret")
    final = client.final(server.step(client.first()).token)
    assert good in final
    with pytest.raises(AuthenticationFailed):
        server.step(final.replace(good, bad))


@pytest.mark.parametrize("wrong", [{"nonce_end": "x"}, {"binding": b"y,,"}])
def test_a_proof_of_another_exchange_is_refused(wrong: dict[str, Any]) -> None:
    users = {"ann": credential(SHA_256, "secret")}
    server, client = Scram(SHA_256, users.get), Client(SHA_256, "ann", "secret")
    first = server.step(client.first()).token
    with pytest.raises(AuthenticationFailed, match="final message"):
        server.step(client.final(first, **wrong))


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_bytes_are_refused_politely(tokens: list[bytes]) -> None:
    server = Scram(SHA_256, lambda _: None)
    for token in tokens:
        with contextlib.suppress(AuthenticationFailed):
            assert server.step(token).user is None
