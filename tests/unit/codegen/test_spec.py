"""Reading of message specs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tools.codegen import emit_python
from tools.codegen.spec import SpecError, Versions, read_message, snake_case, without_comments


def spec(fields: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    return {"name": "X", "type": "data", "validVersions": "0-3", "fields": fields, **others}


@pytest.mark.parametrize(
    ("text", "first", "last", "shown"),
    [
        ("3", 3, 3, "3"),
        ("3+", 3, 32767, "3+"),
        ("3-5", 3, 5, "3-5"),
        ("none", 0, -1, ""),
        (None, 0, -1, ""),
    ],
)
def test_version_ranges(text: str | None, first: int, last: int, shown: str) -> None:
    versions = Versions.parse(text)
    assert (versions.first, versions.last, str(versions)) == (first, last, shown)


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError):
        Versions.parse("3..5")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("TopicId", "topic_id"), ("timeoutMs", "timeout_ms"), ("ISR", "i_s_r")],
)
def test_names_become_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_comment_lines_are_dropped() -> None:
    text = '// "one"\n{ "a": "b//c"\n   // two\n}'
    assert json.loads(without_comments(text)) == {"a": "b//c"}


def test_a_tagged_field_is_of_its_tagged_versions() -> None:
    field = {"name": "A", "type": "int64", "taggedVersions": "1+", "tag": 2, "default": -1}
    (read,) = read_message(spec([field])).structs[0].fields
    assert (str(read.versions), read.tag, read.default) == ("1+", 2, -1)


def test_defaults_are_of_their_type() -> None:
    fields = [
        {"name": "A", "type": "int32", "versions": "0+", "default": "0x7fffffff"},
        {"name": "B", "type": "bool", "versions": "0+", "default": "true"},
        {"name": "C", "type": "string", "versions": "0+", "default": "null"},
        {"name": "D", "type": "[]int32", "versions": "0+", "default": None},
        {"name": "E", "type": "records", "versions": "0+"},
        {"name": "F", "type": "uuid", "versions": "0+"},
    ]
    read = read_message(spec(fields)).structs[0].fields
    assert [field.default for field in read] == [0x7FFFFFFF, True, None, "", None, bytes(16)]


def test_structs_come_before_their_users() -> None:
    inner = {"name": "I", "type": "Inner", "versions": "0+"}
    fields = [{"name": "L", "type": "[]Outer", "versions": "0+", "fields": [inner]}]
    common = [{"name": "Inner", "versions": "0+", "fields": []}]
    message = read_message(spec(fields, commonStructs=common))
    assert [struct.name for struct in message.structs] == ["Inner", "Outer", "X"]


def test_what_the_generator_does_not_know_is_refused() -> None:
    partly = {"name": "A", "type": "int8", "versions": "0+", "taggedVersions": "1+", "tag": 0}
    with pytest.raises(SpecError):
        read_message(spec([partly]))
    with pytest.raises(SpecError):
        read_message(
            spec([{"name": "A", "type": "int8", "versions": "0+", "flexibleVersions": "none"}])
        )


def test_structs_of_one_name_are_told_apart_by_their_message() -> None:
    def message(name: str, kind: str, struct: str) -> Any:
        field = {"name": "L", "type": f"[]{struct}", "versions": "0+", "fields": []}
        return read_message(spec([field]) | {"name": name, "type": kind})

    messages = [message("ARequest", "request", "Data"), message("AResponse", "response", "Data")]
    emit_python.name_classes(messages)
    assert [m.structs[0].class_name for m in messages] == ["RequestData", "ResponseData"]
    messages = [message("ARequest", "request", "One"), message("AResponse", "response", "Other")]
    emit_python.name_classes(messages)
    assert [m.structs[0].class_name for m in messages] == ["One", "Other"]
