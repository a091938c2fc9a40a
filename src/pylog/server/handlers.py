"""The control lane's table: a key is served when ``apis/`` has a file for it.

``k19_create_topics.py`` serves key 19. The folder is read once; a module is imported at the first
request with its key, so a broker pays at its start for what its first client asks only.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

import pylog.apis
from pylog.protocol.api_keys import API_KEYS, ApiKey, request_class
from pylog.protocol.errors import ApiError
from pylog.protocol.message import Message

_FILE_NAME: Final = re.compile(r"k(\d+)_(\w+)\.py")


class Handler(NamedTuple):
    """What serves one key."""

    api: ApiKey
    request_class: type[Message]
    handle: Callable[[Any, Any], Awaitable[Message | None]]
    # Answers a request that was refused as a whole, where the response has no error of its own.
    refuse: Callable[[Any, ApiError], Message] | None
    has_records: bool = False  # its responses have RecordsPart where records belong


def handler_files() -> dict[int, str]:
    """Module name by key, from the names of the files. ValueError when two serve one key."""
    found: dict[int, str] = {}
    for folder in pylog.apis.__path__:
        for name in sorted(os.listdir(folder)):
            match = _FILE_NAME.fullmatch(name)
            if match is None:
                continue
            key = int(match[1])
            if key in found:
                raise ValueError(f"API key {key} is served twice")
            found[key] = name.removesuffix(".py")
    return found


class Handlers:
    """Handlers by key, loaded when they are first needed."""

    def __init__(self) -> None:
        self._files = handler_files()
        self._loaded: dict[int, Handler] = {}

    @cached_property
    def served(self) -> list[ApiKey]:
        """The keys to tell clients about: those of the fast lane, and those with a file here."""
        return [
            api
            for api in API_KEYS.values()
            if api.lane == "fast" or (api.lane == "control" and api.key in self._files)
        ]

    def find(self, key: int, version: int) -> Handler | None:
        """The handler, or None when this version of this key is not served."""
        handler = self._loaded.get(key)
        if handler is None:
            if key not in self._files or key not in API_KEYS:
                return None
            handler = self._loaded[key] = self._load(key)
        if handler.api.min_version <= version <= handler.api.max_version:
            return handler
        return None

    def _load(self, key: int) -> Handler:
        module = importlib.import_module(f"pylog.apis.{self._files[key]}")
        refuse = getattr(module, "refuse", None)
        has_records = getattr(module, "HAS_RECORDS", False)
        return Handler(API_KEYS[key], request_class(key), module.handle, refuse, has_records)
