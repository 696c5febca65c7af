"""The words of the house: frozen values, and how they are written.

Here: what every part may say to every other. Not here: I/O, clocks, logging, decisions.
Next: `reading` (what a device said), `observation` (what a place settled to), `stock` (what moved).
"""
