"""One message in, committed, and its answer out: the step between the link and the decisions.

Here: which reader and which decision a topic gets, inside one transaction. Not here: MQTT
(`ledger.link`), the decisions (`ledger.apply`). When `take` returns, everything is durable.
"""

from __future__ import annotations

import msgspec

from gateway.domain.messages import Ack
from ledger import apply
from ledger.books import Books
from ledger.envelope import (
    EnvelopeError,
    Topic,
    claimed_inst,
    read_batch,
    read_hello,
    read_state,
    read_topic,
)


class Reply(msgspec.Struct, frozen=True):
    """What came of a message."""

    ack: Ack | None = None
    """To be published; None where nothing is owed."""
    trouble: str | None = None
    """What a person should read in the log."""
    events: int = 0
    """Events booked by it, those in quarantine not counted."""
    ignored: bool = False
    """A topic that phase 1 does not know."""


def take(books: Books, topic: str, payload: bytes, now_ms: int) -> Reply:
    """Decides and commits one message of a gateway.

    Raises sqlite3.Error when the database fails: then nothing was kept and nothing may be said.
    """
    where = read_topic(topic)
    if where is None:
        return Reply(ignored=True)
    try:
        return _take(books, where, payload, now_ms)
    except EnvelopeError as error:
        return _unreadable(books, where, payload, str(error), now_ms)


def _take(books: Books, topic: Topic, payload: bytes, now_ms: int) -> Reply:
    if topic.message == "state":
        if not payload:
            return Reply()  # somebody cleared the retained message
        state = read_state(topic, payload)
        with books.transaction():
            books.note_presence(state, now_ms)
        return Reply()
    if topic.message == "hello":
        hello = read_hello(topic, payload)
        with books.transaction():
            outcome = apply.greet(books, hello, now_ms)
            books.write(outcome, now_ms)
    else:
        batch = read_batch(topic, payload)
        with books.transaction():
            outcome = apply.post(books, topic.store, topic.stream, batch, now_ms)
            books.write(outcome, now_ms)
    found = [finding.detail for finding in outcome.findings if finding.code != "drift"]
    trouble = f"{topic.store} {topic.stream}: {outcome.ack.st}: {found[0]}" if found else None
    return Reply(outcome.ack, trouble, len(outcome.events))


def _unreadable(books: Books, topic: Topic, payload: bytes, why: str, now_ms: int) -> Reply:
    ack = None
    with books.transaction():
        stream = None if topic.message == "state" else topic.stream
        books.set_aside(topic.store, stream, payload, f"{topic.message}: {why}", now_ms)
        if topic.message == "batch":
            inst = claimed_inst(payload)
            ack = apply.unreadable(books, topic.store, topic.stream, inst, why, now_ms)
    return Reply(ack, f"{topic.store}: unreadable {topic.message}: {why}")
