"""The journal: the only code that talks SQLite. What is not in it did not happen.

`rows` (what one transaction holds), `writer` (the one writing connection and its thread),
`journal` (the daemon's view), `reader` (everyone else's, read-only).
"""
