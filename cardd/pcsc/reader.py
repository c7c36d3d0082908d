"""One PC/SC reader slot: its connection, and the thread that alone uses it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from cardd.errors import CarddError, CardTimeout, ReaderBusy, ReaderGone
from cardd.pcsc.channel import Opener, PcscConnection
from cardd.pcsc.winscard import WinScard
from cardd.ports import CardConnection
from cardd.worker import Worker

T = TypeVar("T")


class PcscReader:
    """``cardd.ports.Reader`` over PC/SC."""

    def __init__(self, name: str, winscard: WinScard, language: str, opener: Opener) -> None:
        self.name = name
        self._connection = PcscConnection(name, winscard, language, opener)
        self._worker = Worker(f"reader {name}", self._late)
        self._closed = False

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        """Run the job on the reader's thread, as the contract says.

        A job that passes its time while another program holds the card gets ReaderBusy instead of CardTimeout. Late
        jobs end at their next command, and leave the reader to others.
        """
        if self._closed:
            raise ReaderGone(reader=self.name)
        return await self._worker.run(partial(self._in_time, job, timeout), timeout=timeout)

    async def close(self, *, timeout: float = 2.0) -> None:
        """Give up the card and end the thread, after the jobs that wait. A job that hangs is left behind."""
        self._closed = True
        await self._worker.close(self._connection.disconnect, timeout=timeout)

    def _in_time(self, job: Callable[[CardConnection], T], timeout: float) -> T:
        self._connection.allow(timeout)
        return job(self._connection)

    def _late(self, timeout: float) -> CarddError:
        if self._connection.is_waiting:
            return ReaderBusy(reader=self.name)
        return CardTimeout(seconds=round(timeout))
