"""Readers through PC/SC (pcsc-lite): the monitor, one worker thread per reader, and the channel to a card.

``PcscReaders`` is all that the daemon needs; importing it loads neither pyscard nor libpcsclite.
"""

from cardd.pcsc.readers import PcscReaders

__all__ = ["PcscReaders"]
