"""Readers through PC/SC (pcsc-lite): the watch, one worker thread per reader, and the channel to a card.

``PcscReaders`` is all that the daemon needs; its import loads neither pyscard nor libpcsclite.
"""

from cardd.pcsc.readers import PcscReaders

__all__ = ["PcscReaders"]
