"""Who listens to a cell: our own book, and the baselines that count one number.

Here: `Ours`, the real fusion driven by observations as `stockd verify` drives it, and the baselines
of ALGORITHMS 7.5 (till-only, naive sum, association window). Not here: what is true (`cell`), how
far off they are (`scores`). The baselines are told perfectly which product a step was and which
steps were staff filling the shelf: they are better here than they could be in a shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Final, Literal, NamedTuple, Protocol

from gateway.bench.store.stories import Claim, Fill, Line, Opening, Receive, Sku, Step, Word
from gateway.core.belief import Belief as Histogram
from gateway.core.book import Book as Balances
from gateway.core.fuse import Fusion
from gateway.core.postings import Poster
from gateway.domain.observation import (
    DeviceSeen,
    LevelClaim,
    Observation,
    Ordered,
    ScanMove,
    TillLine,
    WeightStep,
)
from gateway.domain.reading import Mode, Stocktake
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import BASKET, StockEvent
from gateway.domain.store import Facing, Location, Product, Store
from gateway.domain.units import NS_PER_S, PIECE_MILLI
from gateway.domain.wire import ZERO_INST
from gateway.replay import Past

BACK: Final = "back"
_SIGMA_MG: Final = 1000
_ZERO_MG: Final = 3000
_LEARNED: Final = 40
"""Units by which a shop's scale knows a product's mass after some days."""
_AROUND: Final = 3
CLAIM_ERROR: Final = 0.005
"""Of a plate's count, all its ways to be wrong together (ALGORITHMS 2.5)."""

Levels = Literal["none", "claims", "laddered"]
"""What becomes of a plate's count: nothing; a claim that the core weighs; or a played ladder 5.4.

`laddered` says a step of the difference to the book, which runs down the rungs of 5.4 without any
weighing: a reference for what levels bring, and no figure of the core.
"""


class Belief(NamedTuple):
    """What a book believes of a product on its plate, in units: a 90 % interval, a state, all."""

    low: int
    high: int
    state: str
    first: int
    masses: tuple[int, ...]
    """How much of the belief each count from `first` on holds; in parts of their sum."""


class Listener(Protocol):
    """A book that hears the words of a cell."""

    def hear(self, word: Word) -> None:
        """One word; times never go back. The truth is for an `oracle` alone."""

    def deadline(self) -> int | None:
        """When it next changes by itself."""

    def advance(self, at_ns: int) -> None:
        """Changes by itself what is due by then."""

    def units(self, sku: Sku) -> tuple[int, int, int]:
        """What it believes, in units: in the shop, lying anywhere in it, on the product's plate."""

    def belief(self, sku: Sku) -> Belief | None:
        """How sure it is of the last of these; None when it does not say."""


class Ours:
    """The real book behind the real fusion."""

    def __init__(
        self, skus: Sequence[Sku], levels: Levels, settings: FusionSettings | None = None
    ) -> None:
        self._levels = levels
        plates = tuple(dict.fromkeys(sku.plate for sku in skus))
        store = Store(
            "s0001",
            (
                Location(BACK, "backroom"),
                *(Location(plate, "shelf") for plate in plates),
                Location("till", "till"),
            ),
            tuple(
                Product(sku.gtin, sku.gtin, "EA", sku.mass_mg, sku.mass_mg * 13 // 1000)
                for sku in skus
            ),
            tuple(
                Facing(sku.plate, "1", sku.gtin, capacity_milli=sku.capacity * PIECE_MILLI)
                for sku in skus
            ),
        )
        self._past, self._balances = Past(), Balances()
        self._poster = Poster(store, self._balances, ZERO_INST, 1, self._past)
        settings = settings or FusionSettings()
        self._fusion = Fusion(store, settings, self._poster, frozenset(plates), {})
        self._number = 0
        self._home = {sku.gtin: sku.plate for sku in skus}
        self._mass_mg = {sku.gtin: sku.mass_mg for sku in skus}
        self._load_mg = dict.fromkeys(plates, 0)
        self.events: list[StockEvent] = []
        self.claims: list[LevelClaim] = []
        for plate in plates:
            self._observe(DeviceSeen(0, f"scale-{plate}", plate, up=True))

    def deadline(self) -> int | None:
        """The fusion's own."""
        return self._fusion.deadline()

    def advance(self, at_ns: int) -> None:
        """Fires one deadline after another, each at its own time."""
        while (due := self._fusion.deadline()) is not None and due <= at_ns:
            self._fusion.advance(due)
        self._keep()

    def _observe(self, observation: Observation) -> None:
        self.advance(observation.at_ns)
        self._number += 1
        self._fusion.observe(self._number, observation)
        self._keep()

    def _keep(self) -> None:
        posted, notes = self._poster.take()
        refused = next((note for note in notes if note.code == "refused"), None)
        if refused is not None:
            raise AssertionError(f"the cell says what no sensor could say: {refused.text}")
        for one in posted:
            self._past.add(one.event)
            self.events.append(one.event)
        self._fusion.changed.clear()

    def hear(self, word: Word) -> None:
        """Each word as the observation that the filters would have made of it."""
        if isinstance(word, Step):
            self._weighed(word)
        elif isinstance(word, Line):
            self._observe(
                TillLine(
                    word.at_ns, "till-1", f"{word.receipt}/1", str(word.receipt), "1", "sale",
                    word.gtin, word.units * PIECE_MILLI, "till",
                )
            )  # fmt: skip
        elif isinstance(word, Receive):
            self._scanned(word.at_ns, "receive", word.gtin, word.units)
        elif isinstance(word, Fill):
            self._scanned(word.at_ns, "restock", word.gtin, word.units)
        elif isinstance(word, Opening):
            for place, units in ((self._home[word.gtin], word.shelf), (BACK, word.back)):
                self._count(word.at_ns, place, word.gtin, units)
        elif isinstance(word, Claim):
            self._claimed(word)

    def _weighed(self, step: Step) -> None:
        before_mg = self._load_mg[step.plate]
        self._load_mg[step.plate] = before_mg + step.step_mg
        self._observe(
            WeightStep(
                step.at_ns, f"scale-{step.plate}", self._ref(step.at_ns), step.plate, step.began_ns,
                before_mg, step.step_mg, _SIGMA_MG, outage=False,
            )
        )  # fmt: skip

    def _scanned(self, at_ns: int, mode: Mode, gtin: str, units: int) -> None:
        self._observe(
            ScanMove(
                at_ns, "back-1", self._ref(at_ns), mode, gtin, units * PIECE_MILLI, None,
                lot=None, exp=None, serial=None, location=BACK, doc=None,
            )
        )  # fmt: skip

    def _count(self, at_ns: int, place: str, gtin: str, units: int) -> None:
        order = Stocktake(place, gtin, units * PIECE_MILLI)
        self._observe(Ordered(at_ns, "console", self._ref(at_ns), order))

    def _claimed(self, claim: Claim) -> None:
        """The one place where a plate's count meets the core."""
        if self._levels == "claims":
            first, table = likelihood(claim.units, self._mass_mg[claim.gtin])
            told = LevelClaim(
                claim.at_ns, f"scale-{claim.plate}", self._ref(claim.at_ns), claim.plate,
                claim.gtin, "weight", first, table, min(table),
            )  # fmt: skip
            self.claims.append(told)
            self._observe(told)
        elif self._levels == "laddered":
            self._laddered(claim)

    def _laddered(self, claim: Claim) -> None:
        self.advance(claim.at_ns)
        held = self._balances.balance(claim.plate, claim.gtin) // PIECE_MILLI
        units = claim.units - held
        if units:
            step_mg = units * self._mass_mg[claim.gtin]
            began_ns = claim.at_ns - NS_PER_S
            self._weighed(
                Step(claim.at_ns, began_ns, claim.plate, claim.gtin, units, step_mg, filling=False)
            )

    def _ref(self, at_ns: int) -> str:
        return f"{at_ns}.{self._number + 1}"

    def units(self, sku: Sku) -> tuple[int, int, int]:
        """On hand (places and `@basket`), in places, and on the product's own plate."""
        held = self._balances.balance
        places = (loc.id for loc in self._poster.store.locations if loc.physical)
        lying = sum(held(place, sku.gtin) for place in places)
        in_shop = lying + held(BASKET, sku.gtin)
        return (
            in_shop // PIECE_MILLI,
            lying // PIECE_MILLI,
            held(sku.plate, sku.gtin) // PIECE_MILLI,
        )

    def belief(self, sku: Sku) -> Belief | None:
        """The fusion's own view, and the histogram behind it."""
        view = self._fusion.view(sku.plate, sku.gtin)
        part = self._fusion.part(f"belief:{sku.plate} {sku.gtin}")
        if view is None or not isinstance(part, Histogram):
            return None
        return Belief(view.low, view.high, view.state, part.first, part.product())


def likelihood(units: int, mass_mg: int) -> tuple[int, tuple[int, ...]]:
    """First count of a claim's table and the table in mnat, as ALGORITHMS 2.5 makes it.

    The load is the claimed count of units exactly: how far it is off is the cell's business.
    """
    sd_mg = 0.013 * mass_mg
    first = max(0, units - _AROUND)
    counts = range(first, units + _AROUND + 1)
    spread = [n * sd_mg**2 * (1.0 + n / _LEARNED) + _ZERO_MG**2 for n in counts]
    off_mg = [(units - n) * mass_mg for n in counts]
    dense = [exp(-d * d / 2 / v) / v**0.5 for d, v in zip(off_mg, spread, strict=True)]
    error = CLAIM_ERROR / (2 * _AROUND)
    shares = [(1.0 - CLAIM_ERROR) * d / sum(dense) + error for d in dense]
    return first, tuple(round(1000.0 * log(share / max(shares))) for share in shares)


class OneNumber:
    """A baseline: one number per product, no places."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}

    def hear(self, word: Word) -> None:
        """Opening, deliveries and sales; what else counts is the child's business."""
        if isinstance(word, Opening):
            self.number[word.gtin] = word.shelf + word.back
        elif isinstance(word, Receive):
            self.number[word.gtin] += word.units
        elif isinstance(word, Line):
            self.number[word.gtin] -= self.sold(word)
        elif isinstance(word, Step):
            self.number[word.gtin] += self.stepped(word)

    def sold(self, line: Line) -> int:
        """How much of a till line counts."""
        return line.units

    def stepped(self, step: Step) -> int:
        """How much of a step counts."""
        del step
        return 0

    def deadline(self) -> int | None:
        """Never."""
        return None

    def advance(self, at_ns: int) -> None:
        """Time alone changes nothing."""

    def units(self, sku: Sku) -> tuple[int, int, int]:
        """The number stands for all three."""
        number = self.number.get(sku.gtin, 0)
        return number, number, number

    def belief(self, sku: Sku) -> Belief | None:
        """A number is all there is."""
        del sku
        return None


class TillOnly(OneNumber):
    """Opening + received - sold."""


class NaiveSum(OneNumber):
    """Every source's change is added."""

    def stepped(self, step: Step) -> int:
        """All of it."""
        return step.units


class Window(OneNumber):
    """A sale and a pick within so many minutes count once; filling the shelf moves nothing."""

    def __init__(self, minutes: int) -> None:
        super().__init__()
        self._within_ns = minutes * 60 * NS_PER_S
        self._picks: dict[str, list[int]] = {}
        """Times of units taken and not yet sold, oldest first."""

    def _open(self, gtin: str, at_ns: int) -> list[int]:
        picks = self._picks.setdefault(gtin, [])
        while picks and picks[0] + self._within_ns < at_ns:
            del picks[0]
        return picks

    def sold(self, line: Line) -> int:
        """What no pick has counted already."""
        picks = self._open(line.gtin, line.at_ns)
        known = min(line.units, len(picks))
        del picks[:known]
        return line.units - known

    def stepped(self, step: Step) -> int:
        """A pick counts at once; what is put back was no pick."""
        if step.filling:
            return 0
        picks = self._open(step.gtin, step.at_ns)
        if step.units < 0:
            picks += [step.began_ns] * -step.units
        else:
            del picks[max(0, len(picks) - step.units) :]
        return step.units
