"""The store benchmark: every sensor's filter against physics and truth (ALGORITHMS 7 and 8).

Here: one module per channel with `measure(seed, level)`, its physics and its baselines. The world
is written from physics, never from a filter's likelihoods. Nothing here is imported by the daemon.
Next: `weight` for the shelf plates.
"""
