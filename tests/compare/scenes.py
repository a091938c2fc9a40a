"""The scenes, and where the answers of Apache Kafka to them are kept."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from tests.compare.dialogue import Dialogue

SCENES = tuple(
    path.stem.removeprefix("scene_") for path in sorted(Path(__file__).parent.glob("scene_*.py"))
)
_SETTINGS = {
    "node.id": "1",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.assignment.interval.ms": "0",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.num.partitions": "2",
}
_SETTINGS_OF = {
    "streams": {
        "group.streams.assignment.interval.ms": "0",
        "group.streams.initial.rebalance.delay.ms": "0",
    },
}
_SEPARATOR = " -> "


def settings_of(scene: str) -> dict[str, str]:
    """Settings of the broker that a scene is played to."""
    return _SETTINGS | _SETTINGS_OF.get(scene, {})


def play(scene: str, address: str, pause_s: float = 0.0) -> dict[str, str]:
    """What a broker answers, by the title of the question."""
    with Dialogue(address, pause_s) as dialogue:
        importlib.import_module(f"tests.compare.scene_{scene}").play(dialogue)
        return dialogue.lines


def answers_path(scene: str) -> Path:
    return Path(__file__).parent / "answers" / f"{scene}.txt"


def as_text(answers: Mapping[str, str]) -> str:
    return "".join(f"{title}{_SEPARATOR}{answer}\n" for title, answer in answers.items())


def recorded(scene: str) -> dict[str, str]:
    lines = answers_path(scene).read_text().splitlines()
    return dict(line.split(_SEPARATOR, 1) for line in lines)
