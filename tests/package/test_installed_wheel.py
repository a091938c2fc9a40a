"""The wheel in an empty virtual environment, away from the source tree."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

ROOT = Path(__file__).resolve().parents[2]
MAX_WHEEL_BYTES = 8_000_000

# One worker builds: the build folder is one.
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("pylog-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, str(wheel)], check=True)
    return folder / "bin"


@pytest.fixture
def served(environment: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    serve = [environment / "pylog", "serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]
    path = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(
        serve, cwd=tmp_path, env=path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        match = re.search(r"listening on (\S+:\d+)", process.stdout.readline())
        assert match is not None
        yield process, match[1]
        process.kill()


def test_one_wheel_serves_three_python_versions_and_stays_small(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_nothing_is_imported_from_the_source_tree(environment: Path, tmp_path: Path) -> None:
    code = (
        "import pylog, pylog.codec, pylog.engine.engine, pylog.protocol.wire; print(pylog.__file__)"
    )
    run = [environment / "python", "-c", code]
    output = subprocess.run(run, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert str(ROOT) not in output


def test_serving_needs_no_heavy_import(environment: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pylog.cli.serve, pylog.server.app; "
        "print(*sorted(set(m.split('.')[0] for m in sys.modules)))"
    )
    run = [environment / "python", "-c", code]
    output = subprocess.run(run, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
    heavy = {"numpy", "rich", "confluent_kafka", "psutil", "pytest"}
    assert not heavy & set(output.split())


def test_the_installed_broker_stores_and_returns_a_record(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = served
    producer = Producer({"bootstrap.servers": address})
    producer.produce("greetings", b"hello", key=b"k")
    assert producer.flush(20) == 0
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["greetings"])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"k", b"hello")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
