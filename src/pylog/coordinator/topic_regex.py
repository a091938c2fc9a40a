r"""Regular expressions over topic names, in the syntax of RE2 as far as names need it.

A subscription's pattern comes from a client, and Python's ``re`` may take exponential time on a
hostile one. Here a pattern is a nondeterministic automaton that is run state set by state set,
remembered as it goes: time grows with the length of the name, whatever the pattern.

    x|y  xy  x*  x+  x?  x{2}  x{2,}  x{2,5}  (x)  (?:x)  (?P<n>x)  [a-z]  [^a-z]  .  ^  $
    \d \D \w \W \s \S  \. and other escaped punctuation  (lazy forms match the same names)
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_REPEAT_MAX = 1_000  # as RE2
_STATES_MAX = 20_000
_CLASSES = {
    "d": frozenset(string.digits),
    "w": frozenset(string.ascii_letters + string.digits + "_"),
    "s": frozenset(" \t\n\r\f"),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "v": "\v"}

CharTest = Callable[[str], bool]


class BadPattern(ValueError):
    """Not an expression that is understood; the text says why."""


@dataclass(slots=True)
class _State:
    """Goes to ``out`` on a character that passes ``test``; without a character, to all of ``free``,
    if ``edge`` is empty or the name begins (^) or ends ($) here."""

    test: CharTest | None = None
    out: int = -1
    free: list[int] = field(default_factory=list)
    edge: str = ""


Fragment = tuple[int, int]  # first and last state; the last one has no way out yet


class _Parser:
    """Recursive descent: alternatives of sequences of repeated atoms."""

    def __init__(self, pattern: str) -> None:
        self.states: list[_State] = []
        self._text = pattern
        self._at = 0

    def parse(self) -> Fragment:
        whole = self._alternatives()
        if self._at < len(self._text):
            raise BadPattern(f"unexpected ')' at {self._at}")
        return whole

    # ---- building ----

    def _new(self, test: CharTest | None = None) -> int:
        if len(self.states) >= _STATES_MAX:
            raise BadPattern("the expression is too large")
        self.states.append(_State(test))
        return len(self.states) - 1

    def _char(self, test: CharTest) -> Fragment:
        first, last = self._new(test), self._new()
        self.states[first].out = last
        return first, last

    def _empty(self) -> Fragment:
        state = self._new()
        return state, state

    def _link(self, start: int, end: int) -> None:
        self.states[start].free.append(end)

    def _join(self, parts: list[Fragment]) -> Fragment:
        if not parts:
            return self._empty()
        for (_, last), (first, _) in itertools.pairwise(parts):
            self._link(last, first)
        return parts[0][0], parts[-1][1]

    # ---- reading ----

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise BadPattern("the expression ends too early")
        self._at += 1
        return char

    def _accept(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def _alternatives(self) -> Fragment:
        branches = [self._sequence()]
        while self._accept("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        first, last = self._new(), self._new()
        for start, end in branches:
            self._link(first, start)
            self._link(end, last)
        return first, last

    def _sequence(self) -> Fragment:
        parts = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())
        return self._join(parts)

    def _repeated(self) -> Fragment:
        begin = self._at
        atom = self._atom()
        text = self._text[begin : self._at]
        times = self._times()
        while times is not None:
            self._accept("?")  # lazy or greedy: the same names match
            atom = self._repeat(atom, text, *times)
            times = self._times()
            if times is not None:
                raise BadPattern("a repetition of a repetition")
        return atom

    def _times(self) -> tuple[int, int | None] | None:
        if self._accept("*"):
            return 0, None
        if self._accept("+"):
            return 1, None
        if self._accept("?"):
            return 0, 1
        if self._peek() == "{":
            return self._counted()
        return None

    def _counted(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        body = self._text[self._at + 1 : end] if end >= 0 else ""
        low, comma, high = body.partition(",")
        if not low.isdecimal() or not (high == "" or high.isdecimal()):
            raise BadPattern(f"bad repetition at {self._at}")
        self._at = end + 1
        least = int(low)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > _REPEAT_MAX or (most is not None and most < least):
            raise BadPattern(f"bad repetition {{{body}}}")
        return least, most

    def _repeat(self, atom: Fragment, text: str, least: int, most: int | None) -> Fragment:
        copies = [atom]
        while len(copies) < (max(least, 1) if most is None else most):
            copies.append(self._again(text))
        if most is None:
            start, end = copies[-1]
            self._link(end, start)
        optional = [self._optional(copy) for copy in copies[least:]]
        return self._join(copies[:least] + optional) if most != 0 else self._empty()

    def _optional(self, part: Fragment) -> Fragment:
        first, last = self._new(), self._new()
        self._link(first, part[0])
        self._link(part[1], last)
        self._link(first, last)
        return first, last

    def _again(self, text: str) -> Fragment:
        inner = _Parser(text)
        inner.states = self.states
        return inner._atom()

    # ---- atoms ----

    def _atom(self) -> Fragment:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return self._char(self._char_class())
        if char == ".":
            return self._char(lambda c: c != "\n")
        if char in "^$":
            return self._edge(char)
        if char == "\\":
            return self._char(self._escape())
        if char in "*+?{":
            raise BadPattern(f"nothing to repeat at {self._at - 1}")
        return self._char(_equals(char))

    def _edge(self, char: str) -> Fragment:
        state = self._new()
        self.states[state].edge = char
        last = self._new()
        self._link(state, last)
        return state, last

    def _group(self) -> Fragment:
        if self._accept("?"):
            if self._accept("P<") or self._accept("<"):
                name = self._text[self._at :].partition(">")[0]
                if not name.isidentifier():
                    raise BadPattern(f"bad group name at {self._at}")
                self._at += len(name) + 1
            elif not self._accept(":"):
                raise BadPattern(f"group of an unknown kind at {self._at}")
        inner = self._alternatives()
        if not self._accept(")"):
            raise BadPattern("missing ')'")
        return inner

    def _escape(self) -> CharTest:
        char = self._take()
        if char.lower() in _CLASSES:
            members = _CLASSES[char.lower()]
            return (lambda c: c not in members) if char.isupper() else members.__contains__
        return _equals(self._escaped_char(char))

    def _escaped_char(self, char: str) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isascii() and char.isalnum():
            raise BadPattern(f"unknown escape \\{char}")
        return char

    def _char_class(self) -> CharTest:
        negated = self._accept("^")
        tests: list[CharTest] = []
        while not (tests and self._peek() == "]"):
            tests.append(self._class_item())
        self._at += 1
        if negated:
            return lambda c: not any(test(c) for test in tests)
        return lambda c: any(test(c) for test in tests)

    def _class_item(self) -> CharTest:
        low = self._take()
        if low == "\\":
            low = self._take()
            if low.lower() in _CLASSES:
                members = _CLASSES[low.lower()]
                return (lambda c: c not in members) if low.isupper() else members.__contains__
            low = self._escaped_char(low)
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return _equals(low)
        self._at += 1
        high = self._take()
        if high == "\\":
            high = self._escaped_char(self._take())
        if high < low:
            raise BadPattern(f"bad range {low}-{high}")
        return lambda c: low <= c <= high


def _equals(char: str) -> CharTest:
    return char.__eq__


class TopicRegex:
    """A compiled expression. ``BadPattern`` when it can't be."""

    def __init__(self, pattern: str) -> None:
        parser = _Parser(pattern)
        first, self._last = parser.parse()
        self._states = parser.states
        self._start = self._closure([first], "^")
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        if not name:
            return self._last in self._closure(self._start, "^$")
        now = self._start
        for char in name:
            key = now, char
            after = self._steps.get(key)
            if after is None:
                after = self._steps[key] = self._step(now, char)
            if not after:
                return False
            now = after
        return self._last in self._closure(now, "$")

    def _step(self, now: frozenset[int], char: str) -> frozenset[int]:
        reached = []
        for index in now:
            state = self._states[index]
            if state.test is not None and state.test(char):
                reached.append(state.out)
        return self._closure(reached)

    def _closure(self, states: Iterable[int], edges: str = "") -> frozenset[int]:
        """Everything that is reached without a character, where the name has these edges."""
        seen = set(states)
        waiting = list(seen)
        while waiting:
            state = self._states[waiting.pop()]
            if state.edge and state.edge not in edges:
                continue
            for index in state.free:
                if index not in seen:
                    seen.add(index)
                    waiting.append(index)
        return frozenset(seen)
