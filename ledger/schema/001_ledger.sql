-- The ledger's tables (WIRE.md section 10), and `presence` for section 5.1.
CREATE TABLE streams (
  store TEXT NOT NULL, stream TEXT NOT NULL, epoch BIGINT NOT NULL, inst TEXT NOT NULL,
  w BIGINT NOT NULL, chain TEXT NOT NULL,
  status TEXT NOT NULL,          -- active, closed; fork, rollback: what was last seen of it
  baseline TEXT, check_after INT NOT NULL, seen_ts BIGINT NOT NULL,
  PRIMARY KEY (store, stream, epoch), UNIQUE (store, stream, inst));
CREATE TABLE events (
  store TEXT NOT NULL, stream TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
  id TEXT NOT NULL, kind TEXT NOT NULL, ts BIGINT NOT NULL,
  body TEXT NOT NULL,            -- canonical bytes, the ones that were hashed
  chain TEXT NOT NULL, recv_ts BIGINT NOT NULL,
  PRIMARY KEY (store, stream, epoch, seq), UNIQUE (store, id));
CREATE INDEX events_ops ON events (kind, store, epoch, seq) WHERE stream = 'ops';
CREATE TABLE balances (
  store TEXT NOT NULL, loc TEXT NOT NULL, gtin TEXT NOT NULL,
  lot TEXT NOT NULL,             -- '' = not known
  uom TEXT NOT NULL, qty BIGINT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
  PRIMARY KEY (store, loc, gtin, lot, uom));
CREATE INDEX balances_gtin ON balances (store, gtin);
CREATE TABLE quarantine (
  n INTEGER PRIMARY KEY, store TEXT NOT NULL, stream TEXT, epoch BIGINT,
  seq BIGINT,                    -- NULL: a whole message that could not be read
  code TEXT NOT NULL, detail TEXT, raw TEXT NOT NULL, chain TEXT, recv_ts BIGINT NOT NULL);
CREATE UNIQUE INDEX quarantine_position ON quarantine (store, stream, epoch, seq)
  WHERE seq IS NOT NULL;
CREATE INDEX quarantine_unread ON quarantine (store, n) WHERE seq IS NULL;
CREATE TABLE holds (
  store TEXT, id TEXT, gtin TEXT, qty BIGINT NOT NULL, expires BIGINT NOT NULL,
  PRIMARY KEY (store, id));
CREATE TABLE findings (
  n INTEGER PRIMARY KEY, store TEXT, stream TEXT, epoch BIGINT, seq BIGINT,
  code TEXT, detail TEXT, ts BIGINT);
CREATE INDEX findings_store ON findings (store, stream, code);
CREATE TABLE presence (
  store TEXT PRIMARY KEY, online INT NOT NULL, sid TEXT NOT NULL, gw TEXT NOT NULL,
  inst TEXT NOT NULL, epoch BIGINT NOT NULL, sw TEXT NOT NULL, why TEXT NOT NULL,
  since BIGINT NOT NULL, seen_ts BIGINT NOT NULL);
