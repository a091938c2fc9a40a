"""Rules of the random machines whose members are fenced by epochs: consumers, streams threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.sim.world import Waiting, World

SEATS = st.integers(0, 3)
SESSION_TIMEOUT_MS = 45_000


class RandomMember(Protocol):
    """Uses what it was told, until it has given it up; a fenced one gives up everything."""

    heard_at_ms: int

    def heartbeat(self) -> Waiting: ...

    def hears(self, waiting: Waiting) -> None: ...

    def gives_up(self) -> None:
        """What it is no longer assigned."""

    def stops(self) -> None:
        """Gives up everything, and is to join again."""


class MembersMachine(RuleBasedStateMachine):
    """Four seats, each with a member; heartbeats, lost answers, a broker that dies, and time."""

    world: World[Any]
    seats: Sequence[RandomMember]

    @rule(seat=SEATS)
    def beats(self, seat: int) -> None:
        self.seats[seat].hears(self.seats[seat].heartbeat())

    @rule(seat=SEATS)
    def gives_up_and_beats(self, seat: int) -> None:
        self.seats[seat].gives_up()
        self.beats(seat)

    @rule()
    def all_give_up_and_beat(self) -> None:
        for seat in range(len(self.seats)):
            self.gives_up_and_beats(seat)

    @rule(seat=SEATS)
    def answer_is_lost(self, seat: int) -> None:
        self.seats[seat].heartbeat()

    @rule(seat=SEATS)
    def broker_dies_during_a_heartbeat(self, seat: int) -> None:
        world, lost = self.world, Waiting()
        world.ask = lambda step: world.dies_during(step) or lost  # type: ignore[method-assign]
        try:
            self.seats[seat].heartbeat()
        finally:
            del world.ask  # type: ignore[method-assign]

    @rule(ms=st.sampled_from([1, 5_000, 30_000, SESSION_TIMEOUT_MS]))
    def time_passes(self, ms: int) -> None:
        self.world.after(ms)
        for member in self.seats:  # who has not been heard for so long stops by itself
            if self.world.now_ms - member.heard_at_ms >= SESSION_TIMEOUT_MS:
                member.stops()

    @rule()
    def broker_restarts(self) -> None:
        self.world.restart()
