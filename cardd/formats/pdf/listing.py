"""The signatures that a PDF holds, as their dictionaries tell; nothing is judged here."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.sign.fields import enumerate_sig_fields

from cardd.errors import DocumentUnsupported
from cardd.formats.pdf.opening import open_pdf
from cardd.formats.pdf.wire import Found, Listed

SIGNATURES_MAX = 64
TOTAL_MAX = 4 * 1024 * 1024  # bytes of all their CMS messages
DOCUMENT_TIMESTAMP = "/DocTimeStamp"


def listed(document: BinaryIO) -> Listed:
    """Each signature, the one that covers least first; document timestamps are not among them.

    Raises what ``open_pdf`` does, and DocumentUnsupported for more than are taken here.
    """
    values = [value.get_object() for _, value, _ in enumerate_sig_fields(open_pdf(document), filled_status=True)]
    if len(values) > SIGNATURES_MAX:
        raise DocumentUnsupported(format="PDF", what=f"{len(values)} signatures")
    found = [_found(value) for value in values if value.get("/Type") != DOCUMENT_TIMESTAMP]
    if sum(len(one.contents) for one in found) > TOTAL_MAX:
        raise DocumentUnsupported(format="PDF", what="Contents")
    return Listed(tuple(sorted(found, key=lambda one: sum(one.ranges[-2:]))))


def _found(signature: generic.DictionaryObject) -> Found:
    contents = signature.raw_get("/Contents")
    return Found(
        kind=str(signature["/SubFilter"]),
        ranges=tuple(int(number) for number in signature["/ByteRange"]),
        contents=bytes(contents.get_object().original_bytes),
        when=_time(signature),
    )


def _time(signature: generic.DictionaryObject) -> datetime | None:
    try:
        return generic.parse_pdf_date(signature["/M"])
    except (KeyError, ValueError, PdfReadError):
        return None
