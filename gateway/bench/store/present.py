"""How well somebody knows which tags are where: exact integrals and delays against truth.

Here: wrong-state time, false leavings and departures, delays of true ones, zones (ALGORITHMS 7.3).
A tag is present while it lies in a zone; leaving, departed and unknown count as absent. Times are
seconds of the gateway. Not here: who estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BACK_SOON_S: Final = 60.0
"""Goods that came back sooner, unnoticed, tell nothing of the delay."""


@dataclass(slots=True)
class _State:
    since_s: float
    truth: int | None = None
    present: int | None = None
    """Zone in which it is held present; None: absent, leaving or departed."""
    held: int | None = None
    """Zone in which it is held, leaving or not."""
    left_s: float | None = None
    """When it left in truth, while nobody noticed."""
    gone: bool = False
    """It left the zone in which it is held: its departure is due."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """A tag left, and after so many seconds it was found to be leaving."""

    left_s: float
    tag: str
    delay_s: float


class Score:
    """What is estimated and what is true, change by change in the order of time."""

    def __init__(self, from_s: float, besides: frozenset[str] = frozenset()) -> None:
        """What comes before `from_s` is practice; tags `besides` are no goods and not judged."""
        self._from_s, self._besides = from_s, besides
        self._tags: dict[str, _State] = {}
        self.wrong_s = self.present_s = self.held_s = self.right_s = 0.0
        """Tag-seconds: wrong; present in truth; of these held somewhere; held in the right zone."""
        self.exits: list[tuple[float, str]] = []
        """False ones: it lay there and was found to be leaving."""
        self.departures: list[tuple[float, str]] = []
        """False ones: it lay there and was given up."""
        self.noticed: list[Noticed] = []
        self.dropped_s: dict[str, float] = {}
        """When each tag was last found to be leaving."""

    def truth(self, at_s: float, tag: str, zone: int | None) -> None:
        """It lies there from now on, or nowhere."""
        state = self._until(at_s, tag)
        if zone is None:
            if state.present is not None:
                state.left_s = at_s
            state.gone = state.held is not None
        else:
            if state.left_s is not None and at_s - state.left_s >= BACK_SOON_S:
                self._notice(at_s, tag, state.left_s)
            state.left_s = None
            state.gone = state.gone and zone != state.held
        state.truth = zone

    def present(self, at_s: float, tag: str, zone: int | None) -> None:
        """It is held present there from now on, or is no longer held present."""
        if tag in self._besides:
            return
        state = self._until(at_s, tag)
        if zone is None:
            self.dropped_s[tag] = at_s
            if state.left_s is not None:
                self._notice(at_s, tag, state.left_s)
            elif state.truth is not None and not state.gone and at_s >= self._from_s:
                self.exits.append((at_s, tag))
            state.left_s = None
        state.present = zone

    def held(self, at_s: float, tag: str, zone: int | None) -> None:
        """It is held to be there, present or leaving, or is given up."""
        if tag in self._besides:
            return
        state = self._until(at_s, tag)
        false = zone is None and state.truth is not None and not state.gone
        if false and at_s >= self._from_s:
            self.departures.append((at_s, tag))
        state.held = zone
        state.gone = False

    def end(self, at_s: float) -> None:
        """The day is over."""
        for tag in list(self._tags):
            state = self._until(at_s, tag)
            if state.left_s is not None and at_s - state.left_s >= BACK_SOON_S:
                self._notice(at_s, tag, state.left_s)

    def swept_s(self, at_s: float, tags: tuple[str, ...]) -> float:
        """From the last piece of a sweep to the last of its tags; infinite while one is held."""
        if any(self._tags[tag].present is not None for tag in tags):
            return float("inf")
        return max((self.dropped_s.get(tag, at_s) - at_s for tag in tags), default=0.0)

    def _notice(self, at_s: float, tag: str, left_s: float) -> None:
        if left_s >= self._from_s:
            self.noticed.append(Noticed(left_s, tag, at_s - left_s))

    def _until(self, at_s: float, tag: str) -> _State:
        state = self._tags.get(tag)
        if state is None:
            state = self._tags[tag] = _State(at_s)
        span_s = at_s - max(state.since_s, self._from_s)
        if span_s > 0:
            there = state.truth is not None
            self.present_s += span_s * there
            self.wrong_s += span_s * (there != (state.present is not None))
            if there and state.held is not None:
                self.held_s += span_s
                self.right_s += span_s * (state.held == state.truth)
        state.since_s = at_s
        return state
