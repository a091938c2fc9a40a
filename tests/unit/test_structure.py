"""The layers of the native code and the shape of the API folders, held by tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "src" / "native"

# folder → folders whose headers it may include, besides its own and the public ones
ALLOWED = {
    "base": set(),
    "gen": {"base"},
    "worker": {"base"},
    "codec": {"base"},
    "log": {"base", "codec", "gen"},
    "broker": {"base", "worker", "codec", "log", "gen"},
    "api": {"base", "worker", "codec", "log", "broker", "gen"},
    "net": {"base", "worker", "codec", "log", "broker", "api", "gen"},
    "bench": {"base", "codec", "gen", "log", "net"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_]+)/', re.MULTILINE)


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_a_native_layer_includes_only_the_layers_below_it(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} includes {folder}/"
        for path in sorted((NATIVE / layer).glob("*.[ch]"))
        for folder in INCLUDE.findall(path.read_text())
        if folder not in ALLOWED[layer] | {layer, "pylog"}
    ]
    assert not wrong


def test_every_native_folder_is_a_known_layer() -> None:
    folders = {path.name for path in NATIVE.iterdir() if path.is_dir()}
    assert folders <= set(ALLOWED) | {"include", "bind", "test"}


def test_only_bind_sees_python() -> None:
    wrong = [
        path for path in NATIVE.rglob("*.[ch]") if "Python.h" in path.read_text()
        and "bind" not in path.parts
    ]  # fmt: skip
    assert not wrong


@pytest.mark.parametrize(
    ("extension", "importer"),
    [
        ("_engine", "engine"),
        ("_codec", "codec.py"),
        ("_wire", "protocol/wire.py"),
        ("_bench", "bench/load.py"),
    ],
)
def test_a_native_module_is_imported_in_one_place(extension: str, importer: str) -> None:
    package = ROOT / "src" / "pylog"
    uses = re.compile(rf"(from|import) pylog\.{extension}\b|from pylog import .*\b{extension}\b")
    found = [path for path in package.rglob("*.py") if uses.search(path.read_text())]
    place = package / importer  # a file, or a package
    assert found
    assert all(place in (path, path.parent) for path in found)
