"""PDFs read and appended to in this process: quick, and without what keeps damage away from the daemon."""

from __future__ import annotations

from typing import BinaryIO

from cardd.formats.pdf.fields import listed, place
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Place, Request


class PdfHere(PdfProcess):
    """Answers as the process does, for documents that do no harm; ``last`` is the one asked about last."""

    last: BinaryIO

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """The answer to a request about this document."""
        self.last = document
        return place(document, request) if isinstance(request, Place) else listed(document)
