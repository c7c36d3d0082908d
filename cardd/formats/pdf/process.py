"""The PDF process as the daemon sees it: started at the first document, replaced when one breaks it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from typing import BinaryIO

from cardd.errors import DocumentError, InternalError, PdfTooComplex, errors_by_code
from cardd.formats.pdf.wire import Answer, Broken, Refused, Request, receive_answer, send_request

# -P: nothing is imported from the directory that the daemon happens to run in
COMMAND = (sys.executable, "-P", "-m", "cardd.formats.pdf.host")
LIMIT = 30.0  # seconds for one document
MEMORY_MAX = 512 * 1024 * 1024  # bytes of the process


class PdfProcess:
    """One process for one document after the other; any thread may ask, and waits for its turn."""

    def __init__(self, limit: float = LIMIT, memory: int = MEMORY_MAX) -> None:
        self._limit = limit
        self._memory = memory
        self._turn = threading.Lock()
        self._started: _Started | None = None

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """The answer to a request about this document, an open file.

        Raises DocumentError's classes; PdfTooComplex too when the process does not answer in its time, or breaks.
        """
        document.flush()
        with self._turn:
            answer = self._asked(document.fileno(), request)
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._turn:
            self._end()

    def _asked(self, document: int, request: Request) -> Answer:
        if self._started is not None and self._started.has_left:
            self._end()
        fresh = self._started is None
        try:
            answer = self._exchange(document, request)
        except (Broken, OSError) as fault:
            self._end()
            if fresh or isinstance(fault, TimeoutError):
                raise PdfTooComplex from fault
            return self._asked(document, request)  # it left while we wrote, having been idle
        if isinstance(answer, Refused) and answer.leaving:
            self._end()
        return answer

    def _exchange(self, document: int, request: Request) -> Answer:
        if self._started is None:
            self._started = _Started(self._memory)
        link = self._started.link
        deadline = time.monotonic() + self._limit
        link.settimeout(self._limit)
        send_request(link, request, document)
        return receive_answer(link, deadline)

    def _end(self) -> None:
        if self._started is not None:
            self._started.end()
            self._started = None


class _Started:
    """A running process and the link to it."""

    def __init__(self, memory: int) -> None:
        self.link, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
                    [*COMMAND, str(theirs.fileno()), str(memory)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as fault:
                self.link.close()
                raise InternalError(why=str(fault)) from fault
        # nobody else may be there to take note of its end
        threading.Thread(target=self._process.wait, name="pdf process", daemon=True).start()

    @property
    def has_left(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self.link.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


def _error(refused: Refused) -> DocumentError:
    """The error that the process named; only those of documents are its to name."""
    known = errors_by_code().get(refused.code, PdfTooComplex)
    return known.received(**refused.params) if issubclass(known, DocumentError) else PdfTooComplex()
