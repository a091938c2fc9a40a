"""Topic expressions, held to what Python's ``re`` says of the same names."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylog.coordinator.topic_regex import BadPattern, TopicRegex

NAMES = ["", "a", "b", "ab", "aab", "orders", "orders-1", "Orders.eu", "x_y", "a.b", "aaaa", "1"]
PATTERNS = [
    "a",
    "a|b",
    "a*b",
    "(a|b)+",
    "a?b?",
    "a{2}b",
    "a{1,3}b?",
    "a{2,}",
    "a{0}b",
    "(?:ab)*",
    "(?P<name>a)b",
    "[a-c]+",
    "[^a]",
    "[]a]",
    "[a\\-]b*",
    "o.*",
    "^a.*b$",
    "(^a)b",
    "orders(-[0-9]+)?",
    "\\w+\\.\\w+",
    "\\d",
    "\\D+",
    "[\\w.]+",
    ".*?",
    "a+?b",
    "",
    "$",
    "a$|b",
    "b^",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_matches_the_names_that_re_matches(pattern: str) -> None:
    ours, theirs = TopicRegex(pattern), re.compile(pattern)
    for name in NAMES:
        assert ours.matches(name) == (theirs.fullmatch(name) is not None), name


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^b]", "\\w", "^", "$"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])).map(
            lambda parts: f"({parts[0]}){parts[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, st.text("abc", max_size=6))
def test_agrees_with_re_on_any_expression(pattern: str, name: str) -> None:
    assert TopicRegex(pattern).matches(name) == (re.fullmatch(pattern, name) is not None)


@pytest.mark.parametrize(
    "pattern",
    ["(", "a)", "[a", "*a", "a**", "a{2", "a{3,1}", "a{1001}", "(?=a)", "(?<!a)b", "\\1", "a\\"],
)
def test_refuses_what_re2_refuses(pattern: str) -> None:
    with pytest.raises(BadPattern):
        TopicRegex(pattern)


def test_refuses_an_expression_that_grows_too_large() -> None:
    with pytest.raises(BadPattern):
        TopicRegex("((a{100}){100}){100}")


def test_hostile_expression_takes_time_by_the_length_of_the_name() -> None:
    regex = TopicRegex("(a*)*(a|aa)+b")
    begin = time.process_time()
    regex.matches("a" * 20)
    short = time.process_time() - begin
    begin = time.process_time()
    regex.matches("a" * 200)
    assert time.process_time() - begin < max(short, 0.001) * 1_000
