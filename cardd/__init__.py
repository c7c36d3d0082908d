"""cardd: one safe localhost API to a health professional's cards, PIN and sessions."""

__version__ = "0.2.0"
