"""Apache Kafka from the jars that tools/install_test_tools.sh fetches: a broker, and its tools."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.support.wait import wait_until

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "clients"
TIMEOUT_S = 120


def java(*arguments: str) -> list[str]:
    """The command for a class of Kafka's."""
    return ["java", "-Xmx256M", "-XX:TieredStopAtLevel=1", "-cp", f"{CACHE}/jars/*", *arguments]


def run_tool(name: str, *arguments: str) -> str:
    """What a command line tool of Kafka's prints."""
    command = java(name, *arguments)
    return subprocess.run(
        command, check=True, text=True, timeout=TIMEOUT_S, stdout=subprocess.PIPE
    ).stdout


class KafkaBroker:
    """One broker that is its own controller, over a folder, which kafka-storage formats."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir()
        self.data_dir = folder / "data"
        self._properties = folder / "server.properties"
        self._log = folder / "server.log"
        port, controller_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        defaults = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.data_dir),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2",
        }
        lines = [f"{name}={value}\n" for name, value in {**defaults, **settings}.items()]
        self._properties.write_text("".join(lines))

    def configure(self, **settings: str) -> None:
        """Add settings; they hold from the next start on."""
        with self._properties.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def start(self) -> None:
        """Returns when clients are served. After a stop: again, with the same data."""
        if not self.data_dir.exists():
            self._format()
        with self._log.open("a") as log:
            command = java("kafka.Kafka", str(self._properties))
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        wait_until(lambda: admin.list_topics(timeout=1), TIMEOUT_S, ignoring=KafkaException)

    def _format(self) -> None:
        storage = "kafka.tools.StorageTool"
        cluster_id = run_tool(storage, "random-uuid").strip()
        run_tool(storage, "format", "-t", cluster_id, "-c", str(self._properties))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT_S)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports
