"""The thinking: pure, single-threaded, driven from outside. No clock, no I/O, no asyncio.

Here: scans, weights, the book, and the engine that composes them. The parts meet only in `engine`.
Same readings in, same stock events out, on any machine, on any day.
"""
