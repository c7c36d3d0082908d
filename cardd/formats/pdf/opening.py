"""Which PDF files are taken at all, and which earlier signatures let another one be added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, cast

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import FieldMDPSpec, enumerate_sig_fields

from cardd.errors import (
    DocumentMalformed,
    DocumentUnsupported,
    PdfCertified,
    PdfEncrypted,
    PdfFieldLocked,
    PdfXfa,
)

HEADER = b"%PDF-"
NO_CHANGES, FORM_FILLING = 1, 2  # the P of DocMDP (ISO 32000-1, table 254); the second is its default


def open_pdf(document: BinaryIO) -> PdfFileReader:
    """The document, read strictly: what readers could understand in several ways is refused.

    Raises DocumentMalformed for what is no PDF, PdfEncrypted, DocumentUnsupported for two cross-reference tables of
    which each reader knows one (hybrid, ISO 32000-1, section 7.5.8.4), and whatever pyHanko does for a damaged one.
    """
    document.seek(0)
    if document.read(len(HEADER)) != HEADER:
        raise DocumentMalformed(format="PDF")
    reader = PdfFileReader(document, strict=True)
    if "/Encrypt" in reader.trailer:
        raise PdfEncrypted
    if reader.xrefs.hybrid_xrefs_present:
        raise DocumentUnsupported(format="PDF", what="XRefStm")
    return reader


def part(of: generic.DictionaryObject, name: str) -> generic.DictionaryObject:
    """A dictionary inside another, wherever in the file it stands; an empty one where there is none."""
    return cast(generic.DictionaryObject, of[name]) if name in of else generic.DictionaryObject()


def list_in(of: generic.DictionaryObject, name: str) -> generic.ArrayObject:
    """A list inside a dictionary, wherever in the file it stands; an empty one where there is none."""
    return cast(generic.ArrayObject, of[name]) if name in of else generic.ArrayObject()


def require_signable(reader: PdfFileReader, field: str) -> None:
    """Refuse what may not get a signature in this field: XFA forms, and what earlier signatures forbid.

    Raises PdfXfa, PdfCertified, PdfFieldLocked.
    """
    if "/XFA" in part(reader.root, "/AcroForm"):
        raise PdfXfa
    for lock in _locks(reader):
        if lock.get("/P") == NO_CHANGES:
            raise PdfCertified
        if "/Action" in lock and FieldMDPSpec.from_pdf_object(lock).is_locked(field):
            raise PdfFieldLocked(field=field)


def _locks(reader: PdfFileReader) -> Iterator[generic.DictionaryObject]:
    """What each signature, and the field that it stands in, allow after it (ISO 32000-1, sections 12.7.4.5, 12.8.2)."""
    filled = enumerate_sig_fields(reader, filled_status=True)
    signatures = [(field.get_object(), value.get_object()) for _, value, field in filled]
    for field, value in signatures:
        yield from _of(value)
        if "/Lock" in field:
            yield field["/Lock"]
    if "/DocMDP" in (permissions := part(reader.root, "/Perms")):
        yield from _of(permissions["/DocMDP"])


def _of(signature: generic.DictionaryObject) -> Iterator[generic.DictionaryObject]:
    for reference in list_in(signature, "/Reference"):
        yield part(reference.get_object(), "/TransformParams")
