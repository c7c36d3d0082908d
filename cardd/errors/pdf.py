"""The PDF cannot be read, or cannot get this signature."""

from __future__ import annotations

from cardd.errors.document import DocumentError
from cardd.i18n import N_


class PdfError(DocumentError):
    """The PDF cannot be read, or cannot get this signature."""


class PdfDamaged(PdfError):
    """The structure of the PDF is broken, or readers could understand it in several ways."""

    code = "pdf.damaged"
    title = N_("Damaged PDF")
    detail = N_("The structure of the PDF is broken or ambiguous ({why}).")
    remedy = N_("Save it again with the software that made it, or print it into a new PDF.")

    why: str  # the PDF reader's word


class PdfTooComplex(PdfError):
    """The PDF takes more time or memory than a document may: nested too deep, or unpacked to too much."""

    code = "pdf.too_complex"
    title = N_("PDF too complex")
    detail = N_("Reading this PDF takes more time or memory than a document should.")
    remedy = N_("Print it into a new PDF, and check where it comes from.")


class PdfProcessFailed(PdfError):
    """The process that reads PDF files ended, twice, of something that is no fault of the document's."""

    code = "pdf.process_failed"
    status = 503
    retryable = True
    title = N_("PDF reader failed")
    detail = N_("The process that reads PDF files ended before it answered.")
    remedy = N_("Try again; if it happens again, look whether this computer is short of memory.")


class PdfNoSandbox(PdfError):
    """The configuration demands a sandbox for whatever reads PDF files, and this machine cannot make a whole one."""

    code = "pdf.no_sandbox"
    status = 503
    title = N_("No sandbox")
    detail = N_("This computer cannot make the sandbox that its configuration demands for reading PDF files.")
    remedy = N_("Run “cardctl doctor sandbox”: it says what is missing.")


class PdfEncrypted(PdfError):
    """The PDF is encrypted, or wants a password."""

    code = "pdf.encrypted"
    title = N_("Encrypted PDF")
    detail = N_("The PDF is encrypted, or protected by a password.")
    remedy = N_("Save it without protection, then try again.")


class PdfCertified(PdfError):
    """Somebody signed the PDF and forbade every change, another signature too (DocMDP)."""

    code = "pdf.certified"
    title = N_("Certified PDF")
    detail = N_("Whoever signed this PDF forbids every change to it, another signature too.")
    remedy = N_("Sign it apart (detached CAdES), or ask for the original.")


class PdfFieldLocked(PdfError):
    """An earlier signature locks the form fields, this one too (FieldMDP)."""

    code = "pdf.field_locked"
    title = N_("Fields locked")
    detail = N_("An earlier signature locks the fields of this PDF, “{field}” too.")
    remedy = N_("Sign it apart (detached CAdES), or name a field that is left free.")

    field: str


class PdfFieldTaken(PdfError):
    """The PDF has a form field of this name already."""

    code = "pdf.field_taken"
    title = N_("Field name taken")
    detail = N_("The PDF has a field “{field}” already.")
    remedy = N_("Choose another name, or give none.")

    field: str


class PdfXfa(PdfError):
    """The PDF is an XFA form: what its reader shows is not what the signature would cover."""

    code = "pdf.xfa"
    title = N_("XFA form")
    detail = N_("This PDF is an XFA form: what is shown is not what would be signed.")
    remedy = N_("Print it into a new PDF, and sign that one.")


class PdfPageMissing(PdfError):
    """The PDF has no such page."""

    code = "pdf.page_missing"
    title = N_("No such page")
    detail = N_("The PDF has no page {page} (number of pages: {pages}).")
    remedy = N_("Name a page that exists; -1 is the last one.")

    page: int
    pages: int  # how many there are


class PdfRectangleOutside(PdfError):
    """The rectangle is empty, or not wholly on the page."""

    code = "pdf.rectangle_outside"
    title = N_("Rectangle outside the page")
    detail = N_("The signature's rectangle is empty, or passes the page ({page}).")
    remedy = N_("Give left, bottom, right and top in points, within these limits.")

    page: str  # left, bottom, right, top, in points


class PdfPictureUnreadable(PdfError):
    """The picture is no PNG or JPEG file, or a broken one."""

    code = "pdf.picture_unreadable"
    title = N_("Picture unreadable")
    detail = N_("The signature's picture is no readable PNG or JPEG file.")
    remedy = N_("Save it again as PNG or JPEG.")


class PdfPictureTooLarge(PdfError):
    """The picture has too many bytes or pixels."""

    code = "pdf.picture_too_large"
    status = 413
    title = N_("Picture too large")
    detail = N_("The signature's picture passes the limit ({limit}).")
    remedy = N_("Make it smaller.")

    limit: str


class PdfNoRoom(PdfError):
    """The timestamp is larger than the room that was kept for it."""

    code = "pdf.no_room"
    title = N_("Timestamp too large")
    detail = N_("The timestamp does not fit into the room that the PDF keeps for it; no signature was handed out.")
    remedy = N_("Ask the timestamp authority, or do without a timestamp.")
