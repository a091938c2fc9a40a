"""Log lines: one a record, with what belongs to it as key=value."""

from __future__ import annotations

import logging
import re
import sys

from pylog.server.logs import KeyValueFormatter


def line(message: str, *args: object, **extra: object) -> str:
    record = logging.LogRecord("pylog.test", logging.WARNING, "", 0, message, args, None)
    vars(record).update(extra)
    return KeyValueFormatter().format(record)


def test_a_line_has_time_level_logger_message_and_pairs() -> None:
    text = line("log %s", "opened", folder="a-0", took_ms=3)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning pylog\.test log opened "
        r"folder=a-0 took_ms=3",
        text,
    )


def test_values_that_would_break_the_line_are_quoted() -> None:
    text = line("x", a="", b="two words", c='say "no"', d="1\n2", e="k=v")
    assert text.endswith(r'a="" b="two words" c="say \"no\"" d="1\n2" e="k=v"')


def test_a_traceback_follows_its_line() -> None:
    try:
        raise LookupError("where")
    except LookupError:
        record = logging.LogRecord("t", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    text = KeyValueFormatter().format(record)
    first, *rest = text.splitlines()
    assert first.endswith("error t failed")
    assert rest[-1] == "LookupError: where"
