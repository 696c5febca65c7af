"""Benches: real figures beside a floor of the same machine in the same run (CONTRACT section 8).

`latency` (device byte to acknowledgement), `pipeline` (cost per reading, a full store, memory,
start), `floor` (the blocking chain that nothing can beat by much), `machine` (what it ran on,
percentiles).
"""
