"""What `ledger.apply` reads from the books and hands back to be written.

Here: the rows of WIRE.md section 10 as frozen values, the `View` a decision reads through, the
`Outcome` it returns. Not here: decisions (`ledger.apply`), SQL (`ledger.books`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from gateway.domain.messages import Ack, Stream
from gateway.domain.reading import Word

Status = Literal["active", "closed", "fork", "rollback"]
"""`fork` and `rollback` say what was last seen of an active epoch; they do not stop it."""


class Row(Word, frozen=True):
    """One epoch of a stream of a store, as in table `streams`."""

    store: str
    stream: Stream
    epoch: int
    inst: str
    w: int
    chain: bytes
    status: Status
    check_after: bool
    """Whether `after` of its events is to be compared (section 10, item 7)."""


class Account(Word, frozen=True):
    """The key of a balance; lot '' = not known."""

    loc: str
    gtin: str
    lot: str
    uom: str


class View(Protocol):
    """The books as they are, within the running transaction."""

    def rows(self, store: str, stream: Stream) -> tuple[Row, ...]:
        """All epochs of a stream, oldest first."""

    def chain_at(self, row: Row, seq: int) -> bytes | None:
        """The stored chain hash at a seq of an epoch; None when it is not stored."""

    def taken(self, store: str, ids: Iterable[str]) -> frozenset[str]:
        """Those ids that events of this store already bear."""

    def original(self, store: str, event_id: str) -> bytes | None:
        """The body of a stock event of this store; None when there is none."""

    def balances(self, store: str, gtins: Iterable[str]) -> Mapping[Account, int]:
        """All balances of these products, zeros included."""

    def has_balances(self, store: str) -> bool:
        """Whether any balance of the store is other than zero."""


class Kept(Word, frozen=True):
    """An event to store."""

    seq: int
    id: str
    kind: str
    ts: int
    body: bytes
    chain: bytes


class Quarantined(Word, frozen=True):
    """An event to set aside."""

    seq: int
    code: str
    detail: str
    body: bytes
    chain: bytes


class Balance(Word, frozen=True):
    """A balance after this transaction, and the event that made it."""

    account: Account
    qty: int
    seq: int


class Finding(Word, frozen=True):
    """Something a person should know; `seq` None when no event is meant."""

    code: str
    seq: int | None
    detail: str


class Outcome(Word, frozen=True):
    """Everything one message changes, and the answer to it."""

    row: Row
    """As it is afterwards; to be written unless `foreign`."""
    ack: Ack
    opened: bool = False
    """The row is new, and all other epochs of the stream are closed."""
    foreign: bool = False
    """The sender is nobody we know: there is no row to write."""
    events: tuple[Kept, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    balances: tuple[Balance, ...] = ()
    findings: tuple[Finding, ...] = ()
