"""Listeners: where a broker can be reached, and what it tells its clients about that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from pylog.config import BrokerConfig, ConfigError, split_list

Address = tuple[str, int]

_ENDPOINT: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_-]+)://(?P<host>\[[0-9a-fA-F:.]+\]|[^:/\[\]]*):(?P<port>-?\d+)"
)
_EVERY_INTERFACE: Final = frozenset({"", "0.0.0.0", "::"})
_SERVED_PROTOCOLS: Final = frozenset({"PLAINTEXT", "SASL_PLAINTEXT"})


class Endpoint(NamedTuple):
    """One listener. An empty host means every interface, port 0 a free one."""

    name: str
    protocol: str
    host: str
    port: int

    @property
    def every_interface(self) -> bool:
        """Whether the host tells a client nothing."""
        return self.host in _EVERY_INTERFACE


def listeners_of(config: BrokerConfig) -> list[Endpoint]:
    """The endpoints to listen on; ConfigError for what can't be served."""
    endpoints = _parse(config, "listeners")
    if not endpoints:
        raise ConfigError("listeners: at least one is needed")
    names = [endpoint.name for endpoint in endpoints]
    if len(set(names)) != len(names):
        raise ConfigError("listeners: each needs a name of its own")
    for endpoint in endpoints:
        if endpoint.protocol not in _SERVED_PROTOCOLS:
            raise ConfigError(f"listeners: protocol {endpoint.protocol} is not served")
    return endpoints


def advertised_of(config: BrokerConfig) -> dict[str, Endpoint]:
    """The endpoints that clients are told, by listener name, where a setting names them."""
    endpoints = {endpoint.name: endpoint for endpoint in _parse(config, "advertised.listeners")}
    listening = {endpoint.name for endpoint in _parse(config, "listeners")}
    for name, endpoint in endpoints.items():
        if name not in listening:
            raise ConfigError(f"advertised.listeners: {name} is none of the listeners")
        if endpoint.host in ("0.0.0.0", "::"):
            raise ConfigError(
                f"advertised.listeners: no client can reach {endpoint.host}; leave the host empty "
                "to tell each client the address that it has reached"
            )
    return endpoints


def _parse(config: BrokerConfig, setting: str) -> list[Endpoint]:
    protocols = protocol_map(config)
    endpoints = []
    for text in config.items(setting):
        match = _ENDPOINT.fullmatch(text)
        if match is None or not 0 <= int(match["port"]) <= 65535:
            raise ConfigError(f"{setting}: {text!r} is not NAME://HOST:PORT")
        name = match["name"].upper()
        if name not in protocols:
            raise ConfigError(f"{setting}: {name} is not in listener.security.protocol.map")
        host = match["host"].strip("[]")
        endpoints.append(Endpoint(name, protocols[name], host, int(match["port"])))
    return endpoints


def protocol_map(config: BrokerConfig) -> Mapping[str, str]:
    """Security protocol by listener name."""
    pairs = (item.partition(":") for item in split_list(_protocols(config)))
    return {name.upper(): protocol for name, _, protocol in pairs}


def _protocols(config: BrokerConfig) -> str:
    return config.text("listener.security.protocol.map")


def parse_host_port(text: str) -> Address:
    """HOST:PORT, [V6]:PORT or :PORT; ConfigError for anything else."""
    host, separator, port = text.rpartition(":")
    bare = ":" not in host or (host.startswith("[") and host.endswith("]"))
    if not separator or not bare or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def format_host_port(host: str, port: int) -> str:
    """The inverse of :func:`parse_host_port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
