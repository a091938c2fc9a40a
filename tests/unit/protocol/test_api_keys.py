"""Keys, lanes, and frames with their headers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pylog.protocol import api_keys
from pylog.protocol.api_keys import API_KEYS, SERVED
from pylog.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pylog.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pylog.protocol.wire import WireError


def test_produce_and_fetch_are_the_fast_lane() -> None:
    assert {api.key for api in SERVED if api.lane == "fast"} == {0, 1}
    assert {api.lane for api in API_KEYS.values()} == {"fast", "control", None}


def test_produce_is_advertised_from_version_0() -> None:
    assert (API_KEYS[0].min_version, API_KEYS[0].max_version) == (0, 13)


def test_an_unstable_version_is_not_advertised() -> None:
    init_producer_id = API_KEYS[22]
    assert init_producer_id.latest_version_unstable
    assert init_producer_id.max_version == 5
    assert api_keys.request_class(22).VERSIONS == (0, 6)


def test_the_response_header_of_api_versions_never_has_tagged_fields() -> None:
    frame = api_keys.encode_response(18, 4, 9, ApiVersionsResponse())
    assert frame[:6] == b"\0\0\0\x09" + b"\0\0"  # correlation id, then at once the error code
    assert api_keys.encode_response(12, 4, 9, HeartbeatResponse())[:5] == b"\0\0\0\x09\0"
    assert api_keys.encode_response(12, 3, 9, HeartbeatResponse()) == b"\0\0\0\x09" + bytes(6)


def test_a_request_is_read_as_it_was_written() -> None:
    frame = api_keys.encode_request(18, 3, 7, "me", ApiVersionsRequest(client_software_name="n"))
    header = api_keys.decode_request_header(frame)
    assert header == (18, 3, 7, "me", 13)
    assert frame[header.size :] == b"\x02n\x01\0"


@pytest.mark.parametrize("size", range(13))
def test_a_truncated_request_header_is_refused(size: int) -> None:
    frame = api_keys.encode_request(18, 3, 7, "me", ApiVersionsRequest())
    with pytest.raises(WireError):
        api_keys.decode_request_header(frame[:size])


@pytest.mark.parametrize("frame", [b"", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\1\1" + bytes(6)])
def test_a_malformed_response_is_refused(frame: bytes) -> None:
    with pytest.raises(WireError):
        api_keys.decode_response(12, 4, frame)


def test_a_message_imports_no_other_message() -> None:
    program = (
        "import sys; from pylog.protocol import api_keys; api_keys.request_class(12);"
        "print(*sorted(m for m in sys.modules if m.startswith('pylog.protocol.messages.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["pylog.protocol.messages.heartbeat"]
    assert api_keys.request_class(12) is HeartbeatRequest
