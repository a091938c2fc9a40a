"""pylog answers as Apache Kafka 4.4 does, except where ``differences`` says otherwise.

What Kafka answers is kept in ``answers/``: a line for each question, recorded by ``record``.
"""

from __future__ import annotations

import pytest
from tests.compare.differences import DIFFERENCES
from tests.compare.scenes import SCENES, play, recorded, settings_of

from pylog.testing import Broker


@pytest.mark.parametrize("scene", SCENES)
def test_answers_are_those_of_kafka(scene: str) -> None:
    expected = recorded(scene)
    for (of, title), answer in DIFFERENCES.items():
        if of == scene:
            assert expected[title] != answer, f"no difference: {title}"
            expected[title] = answer
    with Broker(settings_of(scene)) as broker:
        answers = play(scene, broker.bootstrap)
    assert answers.keys() == expected.keys()
    wrong = {title: (answers[title], expected[title]) for title in answers}
    wrong = {title: pair for title, pair in wrong.items() if pair[0] != pair[1]}
    assert not wrong, "\n".join(
        f"{title}\n  pylog {pair[0]}\n  Kafka {pair[1]}" for title, pair in wrong.items()
    )
