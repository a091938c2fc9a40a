"""Requests that librdkafka has no call for, one at a time on a connection of their own."""

from __future__ import annotations

import itertools
import socket
import struct
from typing import Any

import click

from pylog.cli._client import TIMEOUT_S
from pylog.config import ConfigError
from pylog.protocol.api_keys import API_KEYS, decode_response, encode_request
from pylog.protocol.errors import ErrorCode
from pylog.protocol.message import Message
from pylog.server.listeners import parse_host_port


class Direct:
    """One connection to the first broker of a list; click.ClickException when it breaks."""

    def __init__(self, bootstrap: str) -> None:
        self._numbers = itertools.count(1)
        try:
            address = parse_host_port(bootstrap.split(",")[0].strip())
            self._socket = socket.create_connection(address, timeout=TIMEOUT_S)
        except (OSError, ConfigError) as error:
            raise click.ClickException(f"no broker answers at {bootstrap}: {error}") from error

    def __enter__(self) -> Direct:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: Message) -> Any:
        """The answer, both in the newest version."""
        key = request.API_KEY
        version = API_KEYS[key].max_version
        frame = encode_request(key, version, next(self._numbers), "pylog-cli", request)
        try:
            self._socket.sendall(struct.pack(">i", len(frame)) + frame)
            (length,) = struct.unpack(">i", self._read(4))
            return decode_response(key, version, self._read(length))[1]
        except OSError as error:
            raise click.ClickException(f"the broker has not answered: {error}") from error

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise ConnectionError("it has closed the connection")
            data += part
        return bytes(data)


def check(error_code: int, message: str | None = None) -> None:
    """click.ClickException when an answer holds an error."""
    if error_code:
        name = ErrorCode(error_code).name
        raise click.ClickException(f"{name}: {message}" if message else name)
