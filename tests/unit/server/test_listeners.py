"""Listeners: how they are written, and which make no sense."""

from __future__ import annotations

import pytest

from pylog.config import BrokerConfig, ConfigError
from pylog.options import BROKER
from pylog.server.listeners import (
    advertised_of,
    format_host_port,
    listeners_of,
    parse_host_port,
)


def config(**texts: str) -> BrokerConfig:
    return BrokerConfig(BROKER, {name.replace("_", "."): text for name, text in texts.items()})


def test_several_listeners_have_names_hosts_and_ports() -> None:
    endpoints = listeners_of(
        config(
            listeners="PLAINTEXT://:9092, inside://[::1]:0",
            listener_security_protocol_map="PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT",
        )
    )
    assert [(e.name, e.host, e.port) for e in endpoints] == [
        ("PLAINTEXT", "", 9092),
        ("INSIDE", "::1", 0),
    ]
    assert [e.every_interface for e in endpoints] == [True, False]


@pytest.mark.parametrize(
    ("listeners", "reason"),
    [
        ("", "at least one"),
        ("127.0.0.1:9092", "NAME://HOST:PORT"),
        ("PLAINTEXT://h:70000", "NAME://HOST:PORT"),
        ("PLAINTEXT://h:1,PLAINTEXT://h:2", "name of its own"),
        ("NOBODY://h:1", "not in listener.security.protocol.map"),
    ],
)
def test_listeners_that_can_not_be_served_are_refused(listeners: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        listeners_of(config(listeners=listeners))


def test_what_is_advertised_belongs_to_a_listener() -> None:
    told = advertised_of(config(advertised_listeners="PLAINTEXT://broker.example:19092"))
    assert (told["PLAINTEXT"].host, told["PLAINTEXT"].port) == ("broker.example", 19092)
    with pytest.raises(ConfigError, match="none of the listeners"):
        advertised_of(config(advertised_listeners="SSL://broker.example:19092"))


def test_an_address_that_no_client_can_reach_is_not_advertised() -> None:
    with pytest.raises(ConfigError, match=r"no client can reach 0\.0\.0\.0"):
        advertised_of(config(advertised_listeners="PLAINTEXT://0.0.0.0:9092"))


@pytest.mark.parametrize(
    ("text", "address"),
    [("host:1", ("host", 1)), (":0", ("", 0)), ("[::1]:9", ("::1", 9)), ("[::]:9", ("::", 9))],
)
def test_addresses_are_read_and_written(text: str, address: tuple[str, int]) -> None:
    assert parse_host_port(text) == address
    assert format_host_port(*address) == text


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "::1:9"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_host_port(text)
