"""What the ledger makes of a message: pure decisions of WIRE.md sections 10 and 11, phase 1.

Here: grants, gaps, forks, duplicates, quarantine, drift. Every function reads the books through a
`View` and returns an `Outcome`: all that is to be written, in one transaction, and the answer.
Not here: SQL (`ledger.books`), the shape of an event (`ledger.rules`), topics (`ledger.inbox`).
Detection is safe: whoever is behind, forked or fenced changes nothing, and every message is
judged on its own merits, so that a cloned box cannot lock out the right one.
"""

from __future__ import annotations

import msgspec

from gateway.domain.messages import (
    CREDIT,
    VERSION,
    Ack,
    Hello,
    LastEpoch,
    Rejected,
    Stream,
)
from gateway.domain.stock import Line
from gateway.domain.wire import INT_MAX, chain_next, chain_start
from ledger import rules
from ledger.envelope import Batch, Sent
from ledger.records import Account, Balance, Finding, Kept, Outcome, Quarantined, Row, Status, View
from ledger.rules import Movement, Refused

# --- hello ------------------------------------------------------------------------------------


def greet(view: View, hello: Hello, now_ms: int) -> Outcome:
    """The answer to a position report: `sync`, `new_epoch`, `rollback` or `fenced` (section 11)."""
    rows = view.rows(hello.store, hello.stream)
    mine = next((row for row in rows if row.inst == hello.inst), None)
    if mine is None:
        return _unknown(view, hello, rows, now_ms)
    if mine.status == "closed":
        return _fenced(view, mine, hello.max, now_ms)
    if hello.max < mine.w:
        seen = f"the gateway ends at {hello.max}, the ledger has {mine.w}"
        return _stopped(
            view, mine, "rollback", Finding("rollback", hello.max, seen), hello.max, now_ms
        )
    row = _with(mine, status="active")
    return Outcome(row, _ack(row, "sync", now_ms))


def _unknown(view: View, hello: Hello, rows: tuple[Row, ...], now_ms: int) -> Outcome:
    previous = rows[-1] if rows else None
    known = previous.epoch if previous else 0
    lost = hello.epoch > known
    row = Row(
        hello.store,
        hello.stream,
        hello.epoch if lost else known + 1,
        hello.inst,
        0,
        chain_start(hello.inst),
        "active",
        not view.has_balances(hello.store),
    )
    if lost:
        return Outcome(row, _ack(row, "sync", now_ms), opened=True)
    last = LastEpoch(previous.epoch, previous.inst, previous.w) if previous else None
    return Outcome(row, _ack(row, "new_epoch", now_ms, last=last), opened=True)


def _fenced(view: View, row: Row, at_most: int, now_ms: int) -> Outcome:
    detail = f"{row.inst} of closed epoch {row.epoch} is still there"
    return _stopped(view, row, row.status, Finding("fenced", None, detail), at_most, now_ms)


def _stopped(
    view: View, row: Row, status: Status, finding: Finding, at_most: int, now_ms: int
) -> Outcome:
    """A gateway takes no status with an ack above its own max: answer with what both have."""
    after = _with(row, status=status)
    at = min(row.w, at_most)
    chain = row.chain if at == row.w else view.chain_at(row, at)
    if chain is None:
        at, chain = row.w, row.chain
    return Outcome(
        after, _ack(_with(after, w=at, chain=chain), finding.code, now_ms), findings=(finding,)
    )


# --- batch ------------------------------------------------------------------------------------


def post(view: View, store: str, stream: Stream, batch: Batch, now_ms: int) -> Outcome:
    """The answer to a batch, and what it adds to the books (section 10, items 2 to 8)."""
    rows = view.rows(store, stream)
    mine = next((row for row in rows if row.inst == batch.inst), None)
    if mine is None:
        return _stranger(store, stream, batch, now_ms)
    if mine.status == "closed" or mine.epoch != batch.epoch:
        return _fenced(view, mine, batch.last, now_ms)
    if batch.first > mine.w + 1:
        return Outcome(mine, _ack(mine, "gap", now_ms))
    chains = _chains(batch)
    if _forked(view, mine, batch, chains):
        seen = f"another history at {min(mine.w, batch.last)}"
        finding = Finding("fork", min(mine.w, batch.last), seen)
        return _stopped(view, mine, "fork", finding, batch.last, now_ms)
    row = _with(mine, status="active")
    if batch.last <= row.w:
        return Outcome(row, _ack(row, "ok", now_ms))
    skip = row.w + 1 - batch.first
    return _book(view, row, row.w + 1, batch.events[skip:], chains[skip + 1 :], now_ms)


def _stranger(store: str, stream: Stream, batch: Batch, now_ms: int) -> Outcome:
    row = Row(store, stream, batch.epoch, batch.inst, 0, chain_start(batch.inst), "closed", False)
    return Outcome(row, _ack(row, "fenced", now_ms), foreign=True)


def _chains(batch: Batch) -> list[bytes]:
    chains = [batch.prev]
    for event in batch.events:
        chains.append(chain_next(chains[-1], event.body))
    return chains


def _forked(view: View, row: Row, batch: Batch, chains: list[bytes]) -> bool:
    if batch.last < row.w:
        stored = view.chain_at(row, batch.last)
        return stored is not None and stored != chains[-1]
    return chains[row.w + 1 - batch.first] != row.chain


class _Ledger:
    """The balances of the products of one batch while its events are booked."""

    def __init__(self, view: View, store: str, movements: list[Movement | Refused]) -> None:
        sound = [move for move in movements if isinstance(move, Movement)]
        gtins = {line.gtin for move in sound for line in move.lines}
        self._view = view
        self._store = store
        self._qty = dict(view.balances(store, gtins)) if gtins else {}
        self._uom = {account.gtin: account.uom for account in self._qty}
        self._taken = set(view.taken(store, [move.id for move in sound]))
        self._originals: dict[str, tuple[Line, ...]] = {}
        self._touched: dict[Account, int] = {}

    def refusal(self, move: Movement) -> Refused | None:
        """What only the books can object to. Changes nothing."""
        if move.id in self._taken:
            return Refused("dup_id", f"{move.id} is another event's")
        for line in move.lines:
            uom = self._uom.get(line.gtin, line.uom)
            if uom != line.uom:
                return Refused("bad_uom", f"{line.gtin} is kept in {uom}, not {line.uom}")
            if abs(self._qty.get(_account(line), 0) + line.d) > INT_MAX:
                return Refused("number", f"balance of {line.gtin} at {line.loc} beyond 2^53 - 1")
        if move.kind == "void":
            return self._void_refusal(move)
        return None

    def _void_refusal(self, move: Movement) -> Refused | None:
        assert move.corr is not None
        original = self._originals.get(move.corr)
        if original is None:
            body = self._view.original(self._store, move.corr)
            if body is None:
                return Refused("bad_corr", f"{move.corr} is no stock event here")
            original = rules.lines_of(body)
        if not rules.is_mirror(move.lines, original):
            return Refused("bad_corr", f"not the mirror of {move.corr}")
        return None

    def book(self, seq: int, move: Movement, compare: bool) -> list[Finding]:
        """Apply the lines; the drifts, where `after` says otherwise."""
        drifts = []
        self._taken.add(move.id)
        self._originals[move.id] = move.lines
        for line in move.lines:
            account = _account(line)
            qty = self._qty.get(account, 0) + line.d
            self._qty[account] = qty
            self._uom[line.gtin] = line.uom
            self._touched[account] = seq
            if compare and line.after is not None and line.after != qty:
                drifts.append(Finding("drift", seq, _drift(line, qty)))
        return drifts

    def balances(self) -> tuple[Balance, ...]:
        """Every balance that moved."""
        return tuple(Balance(key, self._qty[key], seq) for key, seq in self._touched.items())


def _account(line: Line) -> Account:
    return Account(line.loc, line.gtin, line.lot or "", line.uom)


def _drift(line: Line, qty: int) -> str:
    where = f"{line.gtin} lot {line.lot or 'unknown'} at {line.loc}"
    return f"{where}: gateway {line.after}, ledger {qty} (thousandths of {line.uom})"


def _book(
    view: View, row: Row, first: int, events: tuple[Sent, ...], chains: list[bytes], now_ms: int
) -> Outcome:
    moves = [rules.judge(row.stream, event) for event in events]
    ledger = _Ledger(view, row.store, moves)
    kept: list[Kept] = []
    refused: list[Quarantined] = []
    findings: list[Finding] = []
    for seq, (move, event, chain) in enumerate(zip(moves, events, chains, strict=True), first):
        verdict = ledger.refusal(move) if isinstance(move, Movement) else move
        if verdict is None and isinstance(move, Movement):
            findings += ledger.book(seq, move, row.check_after)
            kept.append(Kept(seq, move.id, move.kind, move.ts, event.body, chain))
        elif verdict is not None:
            refused.append(Quarantined(seq, verdict.code, verdict.detail, event.body, chain))
    after = _with(row, w=first + len(events) - 1, chain=chains[-1])
    rejected = tuple(Rejected(bad.seq, bad.code, bad.detail) for bad in refused)
    return Outcome(
        after,
        _ack(after, "ok", now_ms, rejected),
        events=tuple(kept),
        quarantine=tuple(refused),
        balances=ledger.balances(),
        findings=tuple(findings),
    )


# --- answers ----------------------------------------------------------------------------------


def unreadable(
    view: View, store: str, stream: Stream, inst: str | None, why: str, now_ms: int
) -> Ack | None:
    """The `gap` for a batch that could not be read; None when there is nobody to answer."""
    rows = view.rows(store, stream)
    row = next((row for row in rows if row.inst == inst), rows[-1] if rows else None)
    if row is None:
        return None
    detail = why[: rules.DETAIL_MAX]
    return _ack(row, "gap", now_ms, (Rejected(None, "bad_envelope", detail),))


def resume(row: Row, now_ms: int) -> Ack:
    """The unasked `ok` of a ledger that has just come up (section 10)."""
    return _ack(row, "ok", now_ms)


def _ack(
    row: Row,
    status: str,
    now_ms: int,
    rejected: tuple[Rejected, ...] = (),
    last: LastEpoch | None = None,
) -> Ack:
    return Ack(
        VERSION,
        row.store,
        row.stream,
        row.inst,
        row.epoch,
        row.w,
        row.chain.hex(),
        status,
        CREDIT,
        rejected,
        None,
        last,
        (),
        now_ms,
    )


def _with(row: Row, **changes: object) -> Row:
    return msgspec.structs.replace(row, **changes)
