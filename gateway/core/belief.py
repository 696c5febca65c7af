"""How many units lie at a place, as a fixed-point histogram; and what sensors claim of it.

Here: the arithmetic of one product at one place (ALGORITHMS 5.3 rules 3 and 4): a base histogram B,
a claim table per source, their product, and what is read from it. All of it exact integers. Not
here: when a claim moves the book (`corrections`), how a sensor comes to a claim (`levels`).

    truth     ... N-1      N      N+1 ...         `first` is the count of the first bin
    B              2^24   ~2^30   2^23            sums to 2^30; a flow shifts or widens it
    weight       -6,100     0    -5,900  mnat     replaces the earlier claim of its source
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from gateway.domain.observation import LevelClaim
from gateway.domain.reading import Word
from gateway.domain.units import exp_scaled, ln_mnat

ONE: Final = 1 << 30
"""The whole of a histogram."""
BINS_MAX: Final = 64
BINS_MIN: Final = 8
"""A shelf of one unit can hold a few more than its planogram says."""
CERTAIN_PPM: Final = 900_000
INTERVAL_PPM: Final = 900_000
EXCLUDED_MNAT: Final = 4_600
"""A source rules a count out that is so much less likely to it than its best (99 to 1)."""
COUNTED_PPM: Final = 995_000
"""How exact a count by people is."""
UNSEEN_PPM: Final = 20_000
"""Of a belief, beside its claims: what no sensor saw may have left any count behind."""
INFERRED_MAX: Final = 8
SHAPES_MAX: Final = 256
"""Histograms of places that nobody has counted, or somebody just has, that are kept once for all:
most places of a shop have the same few capacities."""
TABLE_MAX: Final = 24
"""Counts of a claim that are kept apart; beyond them its floor speaks."""
_PPM: Final = 1_000_000

State = Literal["certain", "uncertain", "disputed"]
Point = tuple[int, int]
"""(units, ppm): one thing that a flow may have been."""


class Held(msgspec.Struct, gc=False):
    """What a source says now; `first` moves with the flows booked since."""

    source: Literal["weight", "rfid", "camera"]
    first: int
    mnat: tuple[int, ...]
    floor_mnat: int
    at_ns: int
    device: str
    ref: str
    number: int
    """Of its observation in the journal."""

    def of(self, units: int) -> int:
        """Log-likelihood of a count, in mnat, at most 0."""
        n = units - self.first
        return self.mnat[n] if 0 <= n < len(self.mnat) else self.floor_mnat

    @property
    def best(self) -> int:
        """The count it holds for the likeliest."""
        return self.first + self.mnat.index(max(self.mnat))

    def doubted(self, points: Sequence[Point]) -> None:
        """A flow that may have been something else came after it."""
        low, high = _span(points)
        linear = [
            sum(ppm * exp_scaled(self.of(units - d)) for d, ppm in points)
            for units in range(self.first + low, self.first + len(self.mnat) + high)
        ]
        top = max(linear)
        mnat = [max(self.floor_mnat, ln_mnat(max(1, x), top)) for x in linear]
        self.first += low
        while len(mnat) > TABLE_MAX or (len(mnat) > 1 and mnat[-1] == self.floor_mnat):
            if mnat[0] < mnat[-1]:
                self.first += 1
                del mnat[0]
            else:
                del mnat[-1]
        self.mnat = tuple(mnat)


class Inferred(msgspec.Struct, gc=False):
    """Units that the book moved here without having seen them; a claim confirms them or not."""

    units: int
    account: str
    """Where they go, or come from, when they were none."""
    unmoved: bool = False
    """A level said so, and nothing moved since: that it repeats itself confirms nothing."""


class View(Word, frozen=True):
    """What is believed of one product at one place."""

    state: State
    mode: int
    """The likeliest count, in units."""
    ppm: int
    """How much of the belief it holds."""
    low: int
    high: int
    """The interval that holds 90 % of the belief, both ends included."""


class Belief(msgspec.Struct, gc=False):
    """B and the claims. `bins` are 4 bytes each: a store keeps twenty thousand of these."""

    first: int
    packed: bytes
    claims: tuple[Held, ...] = ()
    disagrees_ns: int | None = None
    """Since when the claims, unmoved, favour the same other count than the book's."""
    wanted: int | None = None
    """That count."""
    told_dispute: bool = False
    inferred: tuple[Inferred, ...] = ()

    # --- bins -----------------------------------------------------------------------------------

    @property
    def bins(self) -> tuple[int, ...]:
        """B, from `first` on; sums to ONE."""
        packed = self.packed
        return tuple(int.from_bytes(packed[n : n + 4], "little") for n in range(0, len(packed), 4))

    def _put(self, first: int, bins: Sequence[int]) -> None:
        self.first, self.packed = first, _packed(bins)

    def moved(self, units: int, book: int, points: Sequence[Point] = ()) -> None:
        """A flow of `units` was booked, after which the book holds `book`.

        `points` are what it may have been instead, relative to what was booked, at most three.
        """
        self.first += units
        for held in self.claims:
            held.first += units
            if points:
                held.doubted(points)
        bins, first = self.bins, self.first
        if points:
            low, high = _span(points)
            wide = [0] * (len(bins) + high - low)
            for d, ppm in points:
                for n, mass in enumerate(bins):
                    wide[n + d - low] += mass * ppm // _PPM
            bins, first = tuple(wide), first + low
        self._follow(first, bins, book)

    def look_at(self, units: int) -> None:
        """Moves the window about a count, if that lies beyond it."""
        if not 0 <= units - self.first < len(self.packed) // 4:
            self._follow(self.first, self.bins, units)

    def _follow(self, first: int, bins: Sequence[int], about: int) -> None:
        """The window lies about a count; mass beyond an edge, or below 0, lies in that edge."""
        size = len(self.packed) // 4
        begin = max(0, about - size // 2)
        window = [0] * size
        for n, mass in enumerate(bins, first - begin):
            window[min(max(n, 0), size - 1)] += mass
        self._put(begin, window)

    # --- claims ---------------------------------------------------------------------------------

    def claim(self, said: LevelClaim, number: int) -> None:
        """Takes a claim in the place of the earlier one of its source; they stay in order."""
        self.drop(said.source)
        held = Held(
            said.source, said.first_units, said.likelihood_mnat, said.floor_mnat,
            said.at_ns, said.device, said.ref, number,
        )  # fmt: skip
        self.claims = tuple(sorted((*self.claims, held), key=lambda held: held.source))
        self.look_at(said.first_units + said.likelihood_mnat.index(max(said.likelihood_mnat)))

    def infer(self, one: Inferred) -> None:
        """Remembers what was inferred; of too much the oldest is believed."""
        self.inferred = (*self.inferred, one)[-INFERRED_MAX:]

    def weighed_since(self, since_ns: int) -> int | None:
        """What a plate counted then or later, with the flows since."""
        weighed = (held for held in self.claims if held.source == "weight")
        return next((held.best for held in weighed if held.at_ns >= since_ns), None)

    def confirm(self) -> None:
        """A look agrees with the book: what was inferred before it is good."""
        self.inferred = tuple(one for one in self.inferred if one.unmoved)

    def stirred(self) -> None:
        """Goods moved here: the next look is another one."""
        for one in self.inferred:
            one.unmoved = False

    def drop(self, source: str) -> None:
        """What a source said holds no longer."""
        self.claims = tuple(held for held in self.claims if held.source != source)

    def favour_mnat(self, units: int, over: int) -> int:
        """How much the claims together favour one count over another."""
        return sum(held.of(units) - held.of(over) for held in self.claims)

    def disputed(self) -> bool:
        """Whether no count is left that every source allows."""
        if len(self.claims) < 2:
            return False
        ends = [(h.first - 1, h.first + len(h.mnat)) for h in self.claims]
        counts = range(max(0, min(e[0] for e in ends)), max(e[1] for e in ends) + 1)
        return not any(all(held.of(n) > -EXCLUDED_MNAT for held in self.claims) for n in counts)

    # --- reading it -----------------------------------------------------------------------------

    def product(self) -> tuple[int, ...]:
        """B times the claims, normalised to ONE."""
        bins = self.bins
        if not self.claims:
            return bins
        tables = [sum(held.of(n) for held in self.claims) for n in _counts(self)]
        best = max(tables)
        least = ONE * UNSEEN_PPM // _PPM // len(bins)
        weights = [(b + least) * exp_scaled(t - best) for b, t in zip(bins, tables, strict=True)]
        total = sum(weights)
        return _whole([weight * ONE // total for weight in weights])

    def collapse(self) -> None:
        """A correction was booked: B is the belief from now on, and nobody claims anything."""
        self._put(self.first, self.product())
        self.claims, self.disagrees_ns = (), None

    def counted(self, units: int) -> None:
        """People counted: near-exact, and the claims before it are void."""
        size = len(self.packed) // 4
        self.first = max(0, units - size // 2)
        self.packed = _near_exact(size, units - self.first)
        self.claims, self.disagrees_ns, self.told_dispute = (), None, False
        self.inferred = ()

    def ppm_of(self, units: int) -> int:
        """How much of the belief a count holds."""
        n = units - self.first
        return self.product()[n] * _PPM // ONE if 0 <= n < len(self.packed) // 4 else 0

    def best(self, book: int) -> int:
        """The likeliest count; of several the book's, else the least."""
        belief = self.product()
        top = max(belief)
        if 0 <= book - self.first < len(belief) and belief[book - self.first] == top:
            return book
        return self.first + belief.index(top)

    def view(self, book: int) -> View:
        """State, mode and interval, beside what the book says."""
        belief = self.product()
        mode = self.best(book)
        low = high = mode - self.first
        mass = belief[low]
        while mass * _PPM < INTERVAL_PPM * ONE:
            below = belief[low - 1] if low else -1
            above = belief[high + 1] if high + 1 < len(belief) else -1
            if below > above:
                low, mass = low - 1, mass + below
            else:
                high, mass = high + 1, mass + above
        ppm = belief[mode - self.first] * _PPM // ONE
        state: State = "uncertain"
        if self.disputed():
            state = "disputed"
        elif mode == book and ppm >= CERTAIN_PPM:
            state = "certain"
        return View(state, mode, ppm, self.first + low, self.first + high)


def begun(book: int, capacity: int) -> Belief:
    """The belief of a place that nobody counted: about what the book says, each unit off half as
    likely as the one before. `capacity` in units, 0 = unknown."""
    size = min(BINS_MAX, max(BINS_MIN, 2 * (capacity or BINS_MAX))) + 1
    first = max(0, book - size // 2)
    return Belief(first, _halving(size, book - first))


@lru_cache(SHAPES_MAX)
def _halving(size: int, at: int) -> bytes:
    return _packed([ONE >> min(30, 2 + abs(n - at)) for n in range(size)])


@lru_cache(SHAPES_MAX)
def _near_exact(size: int, at: int) -> bytes:
    spare = ONE - ONE * COUNTED_PPM // _PPM
    bins = [spare // size] * size
    bins[at] += ONE - sum(bins)
    return _packed(bins)


def _packed(bins: Sequence[int]) -> bytes:
    return b"".join(mass.to_bytes(4, "little") for mass in _whole(bins))


def _span(points: Sequence[Point]) -> tuple[int, int]:
    return min(0, *(d for d, _ in points)), max(0, *(d for d, _ in points))


def _counts(belief: Belief) -> range:
    return range(belief.first, belief.first + len(belief.packed) // 4)


def _whole(bins: Sequence[int]) -> tuple[int, ...]:
    """What rounding took from a histogram goes to its greatest bin."""
    rest = ONE - sum(bins)
    if not rest:
        return tuple(bins)
    out = list(bins)
    out[out.index(max(out))] += rest
    return tuple(out)
