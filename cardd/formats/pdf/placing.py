"""A signature field with room for its CMS message, appended to a PDF; nothing of what was there is changed."""

from __future__ import annotations

from itertools import count
from typing import BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import find_inherited_value_in_tree
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from cardd.errors import PdfFieldTaken, PdfPageMissing, PdfRectangleOutside
from cardd.formats.document import PIECE
from cardd.formats.pdf.appearance import appearance
from cardd.formats.pdf.opening import list_in, open_pdf, part, require_signable
from cardd.formats.pdf.picture import read_picture
from cardd.formats.pdf.wire import Place, Placed, Rectangle, Stamp

A_POINT = 1.0  # a rectangle may pass the page's edge by rounding


def place(document: BinaryIO, request: Place) -> Placed:
    """Append the field to the document. Raises what ``open_pdf`` and ``require_signable`` do, and PdfError's."""
    reader = open_pdf(document)
    field = request.field or _free_name(reader)
    _require_new(reader, field)
    require_signable(reader, field)
    writer = IncrementalPdfFileWriter.from_reader(reader)
    writer.register_extension(ESIC_EXTENSION_1)
    steps = PdfCMSEmbedder(_field(reader, field, request.stamp)).write_cms(field, writer)
    added = next(steps).get_object()
    if request.stamp is not None:
        _show(writer, added, request.stamp)
    steps.send(SigObjSetup(_signature(request)))
    prepared, _ = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True, chunk_size=PIECE))
    document.flush()
    return Placed(prepared.reserved_region_start, prepared.reserved_region_end, prepared.document_digest)


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
