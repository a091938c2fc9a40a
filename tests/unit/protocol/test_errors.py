"""Error codes and refusals."""

from __future__ import annotations

from pylog.protocol.errors import RETRIABLE, ApiError, ErrorCode


def test_codes_have_the_numbers_of_kafka() -> None:
    assert ErrorCode.NONE == 0
    assert ErrorCode.UNKNOWN_SERVER_ERROR == -1
    assert ErrorCode(35) is ErrorCode.UNSUPPORTED_VERSION
    assert sorted(ErrorCode) == list(range(-1, max(ErrorCode) + 1))


def test_errors_that_pass_are_known() -> None:
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER in RETRIABLE
    assert ErrorCode.TOPIC_AUTHORIZATION_FAILED not in RETRIABLE


def test_a_refusal_reads_as_its_code_and_message() -> None:
    assert str(ApiError(ErrorCode.INVALID_REQUEST)) == "INVALID_REQUEST"
    assert str(ApiError(ErrorCode.INVALID_REQUEST, "no topics")) == "INVALID_REQUEST: no topics"
