"""What is plugged in, who speaks there, and stable names for it: the base of commissioning.

Here: `plugged` (hardware and the configuration), `probing` (asking ports, with care), `mdns`
(readers in the network), `rules` (names by udev). Not here: what is printed (`cli.devices`), what a
protocol says (drivers, through `registry`). The daemon needs none of it.
"""
