"""Share sessions: epochs, what they are bound to, and how many there may be."""

from __future__ import annotations

import pytest

from pylog.coordinator.share_sessions import FINAL_EPOCH, ShareSessions
from pylog.protocol.errors import ApiError, ErrorCode

TOPIC = bytes(16)
ONE, TWO, THREE = ((TOPIC, index) for index in range(3))


def code_of(error: pytest.ExceptionInfo[ApiError]) -> ErrorCode:
    return error.value.code


def test_epochs_follow_each_other_and_begin_again_at_the_highest() -> None:
    sessions = ShareSessions(limit=10)
    session = sessions.open("group", "anna", connection=1)
    for epoch in (1, 2):
        assert sessions.use("group", "anna", epoch) is session
    with pytest.raises(ApiError) as refused:
        sessions.use("group", "anna", 2)
    assert code_of(refused) == ErrorCode.INVALID_SHARE_SESSION_EPOCH
    session.epoch = 2**31 - 1
    sessions.use("group", "anna", 2**31 - 1)
    assert session.epoch == 1


def test_the_last_request_comes_at_any_epoch() -> None:
    sessions = ShareSessions(limit=10)
    session = sessions.open("group", "anna", connection=1)
    sessions.close(sessions.use("group", "anna", FINAL_EPOCH))
    assert session.closed
    with pytest.raises(ApiError) as refused:
        sessions.use("group", "anna", FINAL_EPOCH)
    assert code_of(refused) == ErrorCode.SHARE_SESSION_NOT_FOUND


def test_a_new_session_takes_the_place_of_the_members_last_one() -> None:
    sessions = ShareSessions(limit=1)
    first = sessions.open("group", "anna", connection=1)
    second = sessions.open("group", "anna", connection=2)
    assert first.closed
    assert sessions.use("group", "anna", 1) is second
    assert sessions.close_connection(1) == []
    assert sessions.close_connection(2) == [second]


def test_there_are_no_more_than_the_limit() -> None:
    sessions = ShareSessions(limit=2)
    sessions.open("group", "anna", connection=1)
    sessions.open("other", "anna", connection=1)
    with pytest.raises(ApiError) as refused:
        sessions.open("group", "bob", connection=2)
    assert code_of(refused) == ErrorCode.SHARE_SESSION_LIMIT_REACHED
    sessions.open("group", "anna", connection=2)
    assert len(sessions) == 2


def test_all_sessions_of_a_connection_end_with_it() -> None:
    sessions = ShareSessions(limit=10)
    gone = [sessions.open("group", name, connection=1) for name in ("anna", "bob")]
    stays = sessions.open("group", "carl", connection=2)
    ended = sessions.close_connection(1)
    assert sorted(session.member_id for session in ended) == ["anna", "bob"]
    assert all(session.closed for session in gone)
    assert not stays.closed
    assert len(sessions) == 1


def test_who_was_served_comes_last_and_what_is_forgotten_is_gone() -> None:
    session = ShareSessions(limit=1).open("group", "anna", connection=1)
    session.update([ONE, TWO, THREE], [])
    session.serve_last([ONE])
    assert list(session.partitions) == [TWO, THREE, ONE]
    session.update([TWO], [THREE, (TOPIC, 9)])
    assert list(session.partitions) == [TWO, ONE]
