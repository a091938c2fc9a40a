"""Share groups over sockets: members, records, acknowledgements, restarts."""

from __future__ import annotations

import pytest
from tests.support.share import (
    ACCEPT,
    RELEASE,
    ShareMember,
    acquired,
    configure_group,
    new_topic,
    produce,
    refusals,
    values,
)
from tests.support.wire import Wire


@pytest.fixture
def group(bootstrap: str, unique: str) -> str:
    """A group that begins at the earliest offset."""
    with Wire(bootstrap) as wire:
        configure_group(wire, unique, auto_offset_reset="earliest")
    return unique


def test_member_gets_records_and_what_it_accepts_is_done(
    bootstrap: str, unique: str, group: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b", b"c"])
        assert anna.beats().error_code == 0
        assert anna.assigned == [(topic_id, 0)], "the first heartbeat brings the assignment"
        answer = anna.fetches()
        assert acquired(answer) == [(0, 2, 1)]
        assert values(answer) == [b"a", b"b", b"c"]
        assert refusals(anna.acknowledges((0, 1, ACCEPT), (2, 2, RELEASE))) == [0]
        answer = anna.fetches()
        assert acquired(answer) == [(2, 2, 2)]
        assert values(answer) == [b"c"]
