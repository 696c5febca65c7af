-- The journal of one store, schema 1. One writer connection; everyone else opens mode=ro.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Both streams of the ledger link; body = the canonical bytes exactly as sent, chain = hash after it.
CREATE TABLE stock_events (
  seq     INTEGER PRIMARY KEY,
  id      TEXT NOT NULL,        -- derived from inst and seq; its time leads to it (reader)
  kind    TEXT NOT NULL,
  at_ns   INTEGER NOT NULL,     -- never decreases with seq
  body    BLOB NOT NULL,
  chain   BLOB NOT NULL,
  corr    TEXT,
  cause   INTEGER,               -- observations.n; NULL: a deadline
  because BLOB NOT NULL          -- gateway.domain.observation.Because
);
CREATE UNIQUE INDEX stock_voids ON stock_events (corr) WHERE kind = 'void';

CREATE TABLE ops_events (
  seq   INTEGER PRIMARY KEY,
  id    TEXT NOT NULL,
  kind  TEXT NOT NULL,
  at_ns INTEGER NOT NULL,
  body  BLOB NOT NULL,
  chain BLOB NOT NULL
);

-- What the source filters said; `stockd verify` folds it again.
CREATE TABLE observations (
  n     INTEGER PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  body  BLOB NOT NULL
);

-- One device reading is never booked twice as the same kind (WIRE section 6, src).
CREATE TABLE sources (
  dev  TEXT NOT NULL,
  ref  TEXT NOT NULL,
  kind TEXT NOT NULL,
  seq  INTEGER NOT NULL,
  PRIMARY KEY (dev, ref, kind)
) WITHOUT ROWID;

-- Row order is order of receipt: lots without expiry leave in it.
CREATE TABLE balances (
  loc  TEXT NOT NULL,
  gtin TEXT NOT NULL,
  lot  TEXT NOT NULL,            -- '' = not known
  uom  TEXT NOT NULL,
  exp  TEXT,
  qty_milli INTEGER NOT NULL,
  UNIQUE (loc, gtin, lot)
);

-- The rest of the engine's state, by key: trails, places, counts, scanners, plates.
CREATE TABLE parts (
  key  TEXT PRIMARY KEY,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE cursors (
  stream TEXT PRIMARY KEY,
  epoch  INTEGER NOT NULL,
  ack    INTEGER NOT NULL
) WITHOUT ROWID;

-- Whole states from which a pruned journal can be folded again; the oldest one is where it begins.
CREATE TABLE checkpoints (
  next_seq         INTEGER PRIMARY KEY,
  next_observation INTEGER NOT NULL,
  at_ns            INTEGER NOT NULL,
  chain            BLOB NOT NULL,
  body             BLOB NOT NULL
);
