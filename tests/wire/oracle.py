"""Kafka's message classes as an oracle: starts ``java/Oracle.java`` and talks to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".cache" / "jars"
SOURCE = Path(__file__).parent / "java" / "Oracle.java"
PACKAGES = {
    "offsets": "org.apache.kafka.coordinator.group.generated",
    "classic_group": "org.apache.kafka.coordinator.group.generated",
    "consumer_group": "org.apache.kafka.coordinator.group.generated",
    "share_group": "org.apache.kafka.coordinator.group.generated",
    "streams_group": "org.apache.kafka.coordinator.group.generated",
    "transaction_log": "org.apache.kafka.coordinator.transaction.generated",
    "share_state": "org.apache.kafka.coordinator.share.generated",
}


class OracleError(Exception):
    """Kafka's class refused."""


def java_name(cls: type) -> str:
    """The Java class of one of ours."""
    module = cls.__module__.rsplit(".", 1)[1]
    if module in PACKAGES:
        return f"{PACKAGES[module]}.{cls.__name__}"
    suffix = "Data" if cls.__name__.endswith(("Request", "Response")) else ""
    return f"org.apache.kafka.common.message.{cls.__name__}{suffix}"


class Oracle:
    """A Java process that answers one call at a time."""

    def __init__(self) -> None:
        classpath = f"{_compiled()}{os.pathsep}{JARS}/*"
        command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Oracle"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def decode(self, cls: type, version: int, data: bytes) -> tuple[Any, bytes]:
        """The message as JSON, and its bytes when Kafka encodes it again."""
        return self._decode(java_name(cls), version, data)

    def encode(self, cls: type, version: int, fields: Any) -> bytes:
        """The bytes of a message given as JSON."""
        return self._call(cls, version, b"e", json.dumps(fields).encode())

    def default(self, cls: type, version: int) -> bytes:
        """The bytes of a message that nobody has set a field of."""
        return self._call(cls, version, b"n", b"")

    def convert(self, cls: type, data: bytes, from_version: int, to_version: int) -> bytes:
        """The bytes in another version."""
        return self._call(cls, to_version, b"c", struct.pack(">h", from_version) + data)

    def served_versions(self, cls: type) -> tuple[int, int, int]:
        """What a broker of Kafka advertises for this request: key, lowest and highest version."""
        return struct.unpack(">hhh", self._call(cls, 0, b"v", b""))

    def header_versions(self, cls: type, version: int) -> tuple[int, int]:
        """Versions of the headers of request and response."""
        return struct.unpack(">hh", self._call(cls, version, b"h", b""))

    def decode_header(self, kind: str, version: int, data: bytes) -> Any:
        """The fields of a RequestHeader or a ResponseHeader."""
        return self._decode(f"org.apache.kafka.common.message.{kind}Data", version, data)[0]

    def _decode(self, name: str, version: int, data: bytes) -> tuple[Any, bytes]:
        result = self._call_class(name, version, b"d", data)
        (size,) = struct.unpack_from(">i", result)
        return json.loads(result[4 : 4 + size]), result[4 + size :]

    def _call(self, cls: type, version: int, operation: bytes, data: bytes) -> bytes:
        return self._call_class(java_name(cls), version, operation, data)

    def _call_class(self, class_name: str, version: int, operation: bytes, data: bytes) -> bytes:
        name = class_name.encode()
        call = struct.pack(">H", len(name)) + name + struct.pack(">h", version) + operation + data
        assert self._process.stdin is not None
        self._process.stdin.write(struct.pack(">i", len(call)) + call)
        self._process.stdin.flush()
        result = self._read(struct.unpack(">i", self._read(4))[0])
        if result[0]:
            raise OracleError(result[1:].decode())
        return result[1:]

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise EOFError("the oracle has ended")
        return data


def missing_tool() -> str | None:
    """What the oracle needs and this machine does not have."""
    needed = ["java", "javac"] if any(JARS.glob("*.jar")) else ["java", "javac", "mvn"]
    return next((tool for tool in needed if shutil.which(tool) is None), None)


def _compiled() -> Path:
    """The folder with the class file; compiled once for each text of the source."""
    subprocess.run([ROOT / "tools" / "fetch_jars.sh"], check=True)
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    folder = ROOT / ".cache" / f"oracle-{digest}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as scratch:
            built = Path(scratch) / "built"
            command = ["javac", "-cp", f"{JARS}/*", "-d", str(built), str(SOURCE)]
            subprocess.run(command, check=True)
            if not folder.exists():
                built.rename(folder)
    return folder
