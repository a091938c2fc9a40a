"""The table of handlers: every key in one lane, found by the name of its file."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import pylog.apis
from pylog.protocol.api_keys import API_KEYS
from pylog.server.handlers import Handlers, handler_files

FILES = handler_files()


@pytest.mark.parametrize("key", sorted(FILES))
def test_a_file_is_named_after_its_key_and_serves_it(key: int) -> None:
    api = API_KEYS[key]
    assert FILES[key] == f"k{key:02d}_{api.module}"
    module = importlib.import_module(f"pylog.apis.{FILES[key]}")
    assert inspect.iscoroutinefunction(module.handle)
    assert (module.__doc__ or "").startswith(f"{api.name}: ")


def test_no_key_has_two_lanes() -> None:
    fast = {api.key for api in API_KEYS.values() if api.lane == "fast"}
    control = {api.key for api in API_KEYS.values() if api.lane == "control"}
    assert fast == {0, 1}
    assert FILES.keys() <= control
    assert [api.key for api in Handlers().served] == sorted(fast | FILES.keys())


def test_a_key_that_is_served_twice_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("k03_metadata.py", "k3_other.py"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(pylog.apis, "__path__", [str(tmp_path)])
    with pytest.raises(ValueError, match="3 is served twice"):
        handler_files()


def test_a_handler_is_found_for_the_versions_of_its_key_only() -> None:
    handlers = Handlers()
    api = API_KEYS[3]
    found = handlers.find(3, api.max_version)
    assert found is not None
    assert found.api is api
    assert handlers.find(3, api.max_version) is found
    assert handlers.find(3, api.max_version + 1) is None
    assert handlers.find(3, api.min_version - 1) is None
    assert handlers.find(0, 3) is None
    assert handlers.find(4711, 0) is None
