"""The PDF process as the daemon sees it: started at the first document, replaced when one breaks it."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO

from cardd.errors import DocumentError, PdfNoSandbox, PdfProcessFailed, PdfTooComplex, errors_by_code
from cardd.formats.pdf.wire import Answer, Asked, Place, Refused, Request, Told, receive_answer, send_request
from cardd.formats.sealed import sealed_in
from cardd.frames import Broken, environment_for
from cardd.model import UNCONFINED, Confinement

# -P: nothing is imported from the directory that the daemon happens to run in
COMMAND = (sys.executable, "-P", "-m", "cardd.formats.pdf.host")
LIMIT = 30.0  # seconds for one document
MEMORY_MAX = 512 * 1024 * 1024  # bytes of the process


class PdfProcess:
    """One process for one document after the other; any thread may ask, and waits for its turn.

    ``limit`` is how many seconds the process may take for one document, its own start among them.
    """

    def __init__(
        self,
        limit: float = LIMIT,
        memory: int = MEMORY_MAX,
        confinement: Confinement = Confinement.POSSIBLE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.limit = limit
        self._memory = memory
        self._confinement = confinement
        self._command = command
        self._turn = threading.Lock()
        self._is_closing = False
        self._started: _Started | None = None

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """The answer to a request about this document, an open file.

        Raises DocumentError's classes, PdfTooComplex too when the process uses up its time or memory;
        PdfNoSandbox when it is to have one and cannot; PdfProcessFailed when it ends twice of something else: that is
        no fault of the document.
        """
        file = sealed_in(document)
        if file is None:
            document.flush()
        handle = file.settle() if file else document.fileno()
        with self._turn:
            told = self._asked(handle, Asked(request, file.cover() if file else None))
        if isinstance(told.answer, Refused):
            raise _error(told.answer)
        if file and told.layout and isinstance(request, Place):
            try:
                file.taken_back(told.layout)
            except ValueError as fault:
                raise PdfProcessFailed from fault
        return told.answer

    def close(self) -> None:
        """End the process, in the middle of a document too; the next request starts another."""
        self._is_closing = True
        if started := self._started:
            started.end()
        with self._turn:
            self._end()
            self._is_closing = False

    def _asked(self, document: int, asked: Asked) -> Told:
        if self._started is not None and self._started.has_left:
            self._end()
        try:
            told = self._tried(document, asked)
        except PdfProcessFailed:
            if self._is_closing:
                raise
            told = self._tried(document, asked)
        if isinstance(told.answer, Refused) and told.answer.leaving:
            self._end()
        return told

    def _tried(self, document: int, asked: Asked) -> Told:
        try:
            return self._exchange(document, asked)
        except (Broken, OSError) as fault:
            status = self._end()
            if status == UNCONFINED:
                raise PdfNoSandbox from fault
            if status == -signal.SIGXCPU or isinstance(fault, TimeoutError):
                raise PdfTooComplex from fault
            raise PdfProcessFailed from fault

    def _exchange(self, document: int, asked: Asked) -> Told:
        if self._started is None:
            self._started = _Started(self._command, self._memory, self._confinement)
        link = self._started.link
        deadline = time.monotonic() + self.limit
        link.settimeout(self.limit)
        send_request(link, asked, document)
        return receive_answer(link, deadline)

    def _end(self) -> int | None:
        """End the process; return what it ended with, None where there was none."""
        started, self._started = self._started, None
        return started.end() if started else None


class _Started:
    """A running process and the link to it."""

    def __init__(self, command: Sequence[str], memory: int, confinement: Confinement) -> None:
        self.link, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
                    [*command, str(theirs.fileno()), str(memory), confinement],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=environment_for(confined=confinement is not Confinement.OFF),
                )
            except OSError:
                self.link.close()
                raise
        # nobody else may be there to take note of its end
        threading.Thread(target=self._process.wait, name="pdf process", daemon=True).start()

    @property
    def has_left(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> int:
        self.link.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # which changes nothing for one that has ended
        return self._process.wait()


def _error(refused: Refused) -> DocumentError:
    """The error that the process named; only those of documents are its to name."""
    known = errors_by_code().get(refused.code, PdfTooComplex)
    return known.received(**refused.params) if issubclass(known, DocumentError) else PdfTooComplex()
