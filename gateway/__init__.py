"""The daemon. Its modules are imported by name; nothing is imported here."""

__version__ = "0.1.0"
