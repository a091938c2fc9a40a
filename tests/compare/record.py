"""Notes what Apache Kafka answers: ``python -m tests.compare.record [SCENE]``, all without a name.

Each scene is played to a new broker of the jars that tools/install_test_tools.sh fetches.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.compare.scenes import SCENES, answers_path, as_text, play, settings_of
from tests.support.kafka import KafkaBroker

PAUSE_S = 0.3
ONE_BROKER = {
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


def record(scene: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        broker = KafkaBroker(Path(folder) / "kafka", **settings_of(scene), **ONE_BROKER)
        broker.start()
        try:
            answers_path(scene).write_text(as_text(play(scene, broker.address, PAUSE_S)))
        finally:
            broker.stop()


if __name__ == "__main__":
    for name in sys.argv[1:] or SCENES:
        record(name)
