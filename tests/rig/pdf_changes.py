"""Changes that any program may append to a signed PDF: what an honest one adds, and what deceives a reader."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

name = generic.NameObject


def updated(content: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """The file with this change appended, as any program may append it."""
    file = BytesIO(content)
    writer = IncrementalPdfFileWriter(file)
    change(writer)
    writer.write_in_place()
    return file.getvalue()


def page_replaced(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    stream = generic.StreamObject(stream_data=b"BT /F 12 Tf 50 700 Td (another dose) Tj ET")
    page[name("/Contents")] = writer.add_object(stream)
    writer.mark_update(page.container_ref)


def note_laid_over(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    note = {"/Type": "/Annot", "/Subtype": "/FreeText"}
    added = generic.DictionaryObject({name(key): name(value) for key, value in note.items()})
    added[name("/Rect")] = generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842)))
    added[name("/Contents")] = generic.TextStringObject("another dose")
    page.setdefault(name("/Annots"), generic.ArrayObject()).append(writer.add_object(added))
    writer.mark_update(page.container_ref)


def field_filled(writer: IncrementalPdfFileWriter) -> None:
    field = next(kid for kid in writer.root["/AcroForm"]["/Fields"] if kid.get_object()["/T"] == "dose")
    field.get_object()[name("/V")] = generic.TextStringObject("100")
    writer.mark_update(field.reference)


def picture(writer: IncrementalPdfFileWriter, value: generic.DictionaryObject | None = None) -> None:
    """A signature field over the whole page, with a picture of another dose; nobody's, unless a value says whose."""
    page = writer.root["/Pages"]["/Kids"][0]
    box = generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842)))
    drawn = generic.StreamObject(
        {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form"), name("/BBox"): box},
        stream_data=b"1 g 0 0 595 842 re f",
    )
    field = {"/Type": "/Annot", "/Subtype": "/Widget", "/FT": "/Sig"}
    added = generic.DictionaryObject({name(key): name(value) for key, value in field.items()})
    added[name("/T")] = generic.TextStringObject("laid over")
    added[name("/Rect")] = box
    added[name("/AP")] = generic.DictionaryObject({name("/N"): writer.add_object(drawn)})
    if value is not None:
        added[name("/V")] = writer.add_object(value)
    page.setdefault(name("/Annots"), generic.ArrayObject()).append(reference := writer.add_object(added))
    writer.mark_update(page.container_ref)
    fields = writer.root["/AcroForm"]["/Fields"]
    fields.append(reference)
    writer.update_container(fields)


def picture_of_a_timestamp(writer: IncrementalPdfFileWriter) -> None:
    stamp = {"/Type": "/DocTimeStamp", "/Filter": "/Adobe.PPKLite", "/SubFilter": "/ETSI.RFC3161"}
    picture(writer, generic.DictionaryObject({name(key): name(value) for key, value in stamp.items()}))


def empty_field(writer: IncrementalPdfFileWriter) -> None:
    append_signature_field(writer, SigFieldSpec("next", 0, (10, 10, 90, 30)))


def fields_drawn_otherwise(writer: IncrementalPdfFileWriter) -> None:
    form = writer.root["/AcroForm"]
    codes = generic.ArrayObject([generic.NumberObject(ord("1")), name("/nine")])
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    made = generic.DictionaryObject({name(key): name(value) for key, value in font.items()})
    made[name("/Encoding")] = generic.DictionaryObject({name("/Differences"): codes})
    added = writer.add_object(made)
    fonts = generic.DictionaryObject({name("/Helv"): added})
    form[name("/DR")] = generic.DictionaryObject({name("/Font"): fonts})
    form[name("/NeedAppearances")] = generic.BooleanObject(value=True)
    writer.update_container(form)
