"""The signatures in a PDF: which files are taken at all, which signatures are there, and a field for another one.

Nothing is judged here, and nothing of what was there is changed: a field with room for its CMS message is appended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.metadata.model import DocumentMetadata
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import find_inherited_value_in_tree
from pyhanko.sign.fields import FieldMDPSpec, SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from cardd.errors import (
    DocumentMalformed,
    DocumentUnsupported,
    PdfCertified,
    PdfEncrypted,
    PdfFieldLocked,
    PdfFieldTaken,
    PdfPageMissing,
    PdfRectangleOutside,
    PdfXfa,
)
from cardd.formats.document import PIECE
from cardd.formats.pdf.appearance import appearance, read_picture
from cardd.formats.pdf.updates import later_than, list_in, part
from cardd.formats.pdf.wire import Found, Listed, Place, Placed, Rectangle, Stamp

HEADER = b"%PDF-"
NO_CHANGES = 1  # a P of DocMDP (ISO 32000-1, table 254)
SIGNATURES_MAX = 64
TOTAL_MAX = 4 * 1024 * 1024  # bytes of all their CMS messages
DOCUMENT_TIMESTAMP = "/DocTimeStamp"
END = 1024  # bytes, with the trailer
A_POINT = 1.0  # a rectangle may pass the page's edge by rounding


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
    """Return what each signature and its field allow after it (ISO 32000-1, sections 12.7.4.5 and 12.8.2)."""
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


def listed(document: BinaryIO) -> Listed:
    """Each signature, the one that covers least first; document timestamps are not among them.

    Raises what ``open_pdf`` does, and DocumentUnsupported for more than are taken here.
    """
    reader = open_pdf(document)
    filled = list(enumerate_sig_fields(reader, filled_status=True))
    if len(filled) > SIGNATURES_MAX:
        raise DocumentUnsupported(format="PDF", what=f"{len(filled)} signatures")
    found = [
        _found(reader, name, field.get_object(), value.get_object())
        for name, value, field in filled
        if value.get_object().get("/Type") != DOCUMENT_TIMESTAMP
    ]
    if sum(len(one.contents) for one in found) > TOTAL_MAX:
        raise DocumentUnsupported(format="PDF", what="Contents")
    return Listed(tuple(sorted(found, key=lambda one: sum(one.ranges[-2:]))))


def _found(
    reader: PdfFileReader, name: str, field: generic.DictionaryObject, signature: generic.DictionaryObject
) -> Found:
    contents = signature.raw_get("/Contents")
    return Found(
        kind=str(signature["/SubFilter"]),
        ranges=tuple(int(number) for number in signature["/ByteRange"]),
        contents=bytes(contents.get_object().original_bytes),
        when=_time(signature),
        later=later_than(reader, field, name),
    )


def _time(signature: generic.DictionaryObject) -> datetime | None:
    try:
        return generic.parse_pdf_date(signature["/M"])
    except (KeyError, ValueError, PdfReadError):
        return None


def place(document: BinaryIO, request: Place) -> Placed:
    """Append the field to the document. Raises what ``open_pdf`` and ``require_signable`` do, and PdfError's."""
    reader = open_pdf(document)
    field = request.field or _free_name(reader)
    _require_new(reader, field)
    require_signable(reader, field)
    writer = IncrementalPdfFileWriter.from_reader(reader)
    _settle(writer, document, request)
    writer.register_extension(ESIC_EXTENSION_1)
    steps = PdfCMSEmbedder(_field(reader, field, request.stamp)).write_cms(field, writer)
    added = next(steps).get_object()
    if request.stamp is not None:
        _show(writer, added, request.stamp)
    steps.send(SigObjSetup(_signature(request)))
    prepared, _ = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True, chunk_size=PIECE))
    document.flush()
    return Placed(prepared.reserved_region_start, prepared.reserved_region_end, prepared.document_digest)


class _Metadata(DocumentMetadata):
    """Keeps the time that it was made with; pyHanko would put the present one in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if (name, value) != ("last_modified", "now"):
            super().__setattr__(name, value)


def _settle(writer: IncrementalPdfFileWriter, document: BinaryIO, request: Place) -> None:
    """Take time and identifier (ISO 32000-1, 14.4) from the request: what is made again must be the same file."""
    size = document.seek(0, os.SEEK_END)
    document.seek(max(0, size - END))
    digest = sha256(f"{size} {request.when.isoformat()} {request.field}".encode() + document.read()).digest()
    has_one = "/ID" in writer.prev.trailer
    for number, half in enumerate((digest[:16], digest[16:])):
        if number or not has_one:  # the first half stays what it was
            writer._document_id[number] = generic.ByteStringObject(half)  # noqa: SLF001 - pyHanko has no other way
    writer._meta = _Metadata(last_modified=request.when)  # noqa: SLF001 - as above


def _free_name(reader: PdfFileReader) -> str:
    taken = _names(reader)
    return next(name for name in map("Signature{}".format, count(1)) if name not in taken)


def _require_new(reader: PdfFileReader, field: str) -> None:
    """A name with points stands in a tree of fields: its root must be new too."""
    if field.partition(".")[0] in _names(reader):
        raise PdfFieldTaken(field=field)


def _names(reader: PdfFileReader) -> set[str]:
    form = part(reader.root, "/AcroForm")
    fields = (field.get_object() for field in list_in(form, "/Fields"))
    return {str(field["/T"]) for field in fields if isinstance(field, generic.DictionaryObject) and "/T" in field}


def _field(reader: PdfFileReader, field: str, stamp: Stamp | None) -> SigFieldSpec:
    if stamp is None:
        return SigFieldSpec(field)
    count_of_pages = int(reader.root["/Pages"]["/Count"])
    index = stamp.page - 1 if stamp.page > 0 else count_of_pages + stamp.page
    if stamp.page == 0 or not 0 <= index < count_of_pages:
        raise PdfPageMissing(page=stamp.page, pages=count_of_pages)
    page, _ = reader.find_page_for_modification(index)
    _require_inside(stamp.rectangle, _visible_part(page.get_object()))
    box: tuple[int, int, int, int] = stamp.rectangle  # type: ignore[assignment]  # a rectangle may have any numbers
    return SigFieldSpec(field, index, box, readable_field_name=", ".join(stamp.lines))


def _visible_part(page: generic.DictionaryObject) -> Rectangle:
    for box in ("/CropBox", "/MediaBox"):
        if (found := find_inherited_value_in_tree(page, box, "/Parent")) is not None:
            left, bottom, right, top = map(float, found)
            return min(left, right), min(bottom, top), max(left, right), max(bottom, top)
    raise ValueError(page)


def _require_inside(rectangle: Rectangle, page: Rectangle) -> None:
    left, bottom, right, top = rectangle
    if not (
        page[0] - A_POINT <= left < right <= page[2] + A_POINT
        and page[1] - A_POINT <= bottom < top <= page[3] + A_POINT
    ):
        raise PdfRectangleOutside(page=" ".join(f"{edge:g}" for edge in page))


def _show(writer: IncrementalPdfFileWriter, field: generic.DictionaryObject, stamp: Stamp) -> None:
    left, bottom, right, top = stamp.rectangle
    rotation = int(find_inherited_value_in_tree(field["/P"], "/Rotate", "/Parent") or 0) % 360
    picture = None if stamp.picture is None else read_picture(stamp.picture)
    normal = appearance(writer, (right - left, top - bottom), rotation, stamp.lines, picture)
    field["/AP"] = generic.DictionaryObject({generic.NameObject("/N"): normal})


def _signature(request: Place) -> SignatureObject:
    return SignatureObject(
        timestamp=request.when,
        subfilter=SigSeedSubFilter.PADES,
        location=request.location,
        reason=request.reason,
        bytes_reserved=2 * request.room,
    )
