"""The PDF process: ``python -P -m cardd.formats.pdf.host LINK MEMORY CONFINEMENT``, started by the daemon.

LINK is an inherited socket, MEMORY how many bytes of its own the process may have, CONFINEMENT whether it must have its
sandbox, in which it has what is open and Python's own files (``cardd.sandbox``).

Requests are answered one after the other. The process ends when the daemon does, when nothing was asked for a while,
and after a document that left much in its memory: the next one must not pay for it.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from pyhanko.pdf_utils.misc import PdfDecodeLimitError

from cardd.errors import CarddError, PdfDamaged, PdfTooComplex
from cardd.formats.document import with_space
from cardd.formats.pdf.fields import listed, place
from cardd.formats.pdf.wire import (
    Answer,
    Asked,
    List,
    Place,
    Refused,
    Request,
    Told,
    receive_request,
    send_answer,
)
from cardd.formats.sealed import Positioned, SealedFile
from cardd.frames import Broken
from cardd.model import Confinement
from cardd.sandbox import OF_PYTHON, Sandbox, enter, python_files

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

IDLE = 60.0  # seconds
KEPT_MAX = 128 * 1024 * 1024  # bytes; about twice what the libraries and a small document want
FILE_MAX = 1024 * 1024 * 1024  # bytes; twice what a session may hold
PROCESSOR_MAX = 60  # seconds for one document: the daemon gives up earlier, this holds when it is gone
SET_DUMPABLE = 4  # prctl(2)
SPACE_MAX = 2 * 1024 * 1024 * 1024  # bytes of address space, which MEMORY_MAX does not count whole
SANDBOX = Sandbox(reads=python_files(), calls=OF_PYTHON, space_max=SPACE_MAX)


def main(link: int, memory: int, confinement: str) -> None:
    """Serve until the daemon leaves, or has nothing to ask."""
    _harden(memory)
    enter(SANDBOX, Confinement(confinement))
    _fall_silent()
    with socket.socket(fileno=link) as daemon:
        daemon.settimeout(IDLE)
        try:
            while _serve(daemon):
                pass
        except (Broken, OSError):
            return


def _serve(daemon: socket.socket) -> bool:
    """Answer one request; false when it was the last."""
    asked, descriptor = receive_request(daemon)
    _allow(PROCESSOR_MAX)
    told = _told(asked, descriptor)
    answer = told.answer
    send_answer(daemon, told)
    return not (isinstance(answer, Refused) and answer.leaving) and _held() < KEPT_MAX


def _held() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def _told(asked: Asked, descriptor: int) -> Told:
    file: SharedFile | SealedFile
    file = SealedFile(descriptor, asked.cover) if asked.cover else SharedFile(descriptor)
    with file:
        answer = _answered(asked.request, io.BufferedRandom(file))
        return Told(answer, file.cover().layout if isinstance(file, SealedFile) else None)


def _answered(request: Request, document: io.BufferedRandom) -> Answer:
    try:
        with with_space():
            match request:
                case Place():
                    placed = place(cast(BinaryIO, document), request)
                    if isinstance(document.raw, SealedFile):
                        document.raw.settle()
                    return placed
                case List():
                    return listed(cast(BinaryIO, document))
    except CarddError as error:
        return Refused(error.code, error.params)
    except (RecursionError, PdfDecodeLimitError):
        return Refused(PdfTooComplex.code, {})
    except MemoryError:
        return Refused(PdfTooComplex.code, {}, leaving=True)
    except Exception as error:  # noqa: BLE001 - pyHanko tells of damage in a dozen ways, assertions among them
        return Refused(PdfDamaged.code, {"why": type(error).__name__})


def _allow(seconds: int) -> None:
    """The kernel ends the process when it has used this much more of the processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _harden(memory: int) -> None:
    """No core dump, no debugger, no more memory than a document may want; Ctrl-C is the daemon's business.

    And no log: what pyHanko notes of a document, as often as the document wants, may be the document's own words.
    """
    logging.disable()
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fall_silent() -> None:
    """Print nothing more: the journal is no place for what a document wants said."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for printed in (1, 2):
        os.dup2(nowhere, printed)
    os.close(nowhere)


class SharedFile(Positioned):
    """The file behind a descriptor, which it closes at its end, read and written at positions of its own.

    The one that the descriptor shares with the daemon stays where it is.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def extent(self) -> int:
        """Return how long the file is by now."""
        return os.fstat(self._descriptor).st_size

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into the buffer, and tell how many bytes (``io.RawIOBase``)."""
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def write(self, content: ReadableBuffer, /) -> int:
        """Write, and tell how many bytes (``io.RawIOBase``)."""
        count = os.pwrite(self._descriptor, content, self._position)
        self._position += count
        return count

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    os._exit(0)  # nothing is left to be tidied
