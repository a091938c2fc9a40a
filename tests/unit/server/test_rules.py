"""The table of what keys need fits the messages, and no served key is forgotten."""

from __future__ import annotations

import pytest

from pylog.protocol.api_keys import request_class, response_class
from pylog.security.rules import RULES, Items
from pylog.server.handlers import handler_files

# Kafka asks nothing for these, or, for tokens (38 to 41), nothing while they are switched off.
FREE = {17, 18, 22, 36, 38, 39, 40, 41, 60, 71, 72}


def test_every_key_of_the_control_lane_has_a_row_or_needs_none() -> None:
    assert handler_files().keys() - RULES.keys() <= FREE


@pytest.mark.parametrize("key", sorted(RULES.keys() & handler_files().keys()))
def test_a_row_names_fields_that_there_are(key: int) -> None:
    rule = RULES[key]
    request = {row[0]: row[7] for row in request_class(key).FIELDS}
    response = {row[0]: row[7] for row in response_class(key).FIELDS}
    assert {need.field for need in rule.whole if need.field} <= request.keys()
    for items in rule.items:
        check_items(items, request, response)
    for shown in rule.shown:
        first, _, second = shown.response.partition(".")
        cls = response[first]
        if second:
            cls = next(row[7] for row in cls.FIELDS if row[0] == second)
        assert shown.key in cls.__slots__


def check_items(items: Items, request: dict[str, type], response: dict[str, type]) -> None:
    answer = response[items.response]
    if items.key and "topic_id" not in request[items.request].__slots__:
        assert items.key in request[items.request].__slots__
        assert items.key in answer.__slots__
    if not items.key:
        assert request[items.request] is None
        assert items.response_key in answer.__slots__
    if items.inner is None:
        assert "error_code" in answer.__slots__
    else:
        assert items.inner.request in request[items.request].__slots__
        part = next(row[7] for row in answer.FIELDS if row[0] == items.inner.response)
        assert {items.inner.number, items.inner.error} <= set(part.__slots__)
