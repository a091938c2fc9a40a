"""Notes what a running Apache Kafka answers: ``python -m tests.compare.record HOST:PORT [SCENE]``.

The broker has to be new, with node id 1 and the settings of ``SETTINGS``.
"""

from __future__ import annotations

import sys

from tests.compare.scenes import SCENES, answers_path, as_text, play

PAUSE_S = 0.3


def main() -> None:
    address, *wanted = sys.argv[1:]
    for scene in wanted or SCENES:
        answers_path(scene).write_text(as_text(play(scene, address, PAUSE_S)))


if __name__ == "__main__":
    main()
