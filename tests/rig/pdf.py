"""Small PDF files, written by hand, and pdfsig as the judge of signed ones."""

from __future__ import annotations

import html
import io
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext

HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def pdf(
    *,
    pages: int = 1,
    rotate: int = 0,
    extra: Sequence[bytes] = (),
    catalogue: bytes = b"",
    trailer: bytes = b"",
    ballast: int = 0,
) -> bytes:
    """A file of this many A4 pages; ``extra`` objects follow those of the pages, ``ballast`` is a stream's length."""
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(pages))
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Rotate %d >>" % rotate
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R " + catalogue + b" >>",
        b"<< /Type /Pages /Kids [" + kids + b"] /Count %d >>" % pages,
        *[page] * pages,
        *extra,
    ]
    if ballast:
        objects.append(b"<< /Length %d >>\nstream\n" % ballast + bytes(ballast) + b"\nendstream")
    return _written(objects, trailer)


def _written(objects: Sequence[bytes], trailer: bytes) -> bytes:
    file, places = io.BytesIO(), []
    file.write(HEAD)
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))
    return file.getvalue()


@dataclass(frozen=True)
class Judged:
    """What pdfsig says of one signature."""

    is_valid: bool
    is_whole: bool
    signer: str
    kind: str


def pdfsig(file: Path) -> list[Judged]:
    """Each signature of the file, as poppler sees it; whether its authority is trusted is not asked."""
    done = subprocess.run(["pdfsig", "-nocert", str(file)], check=False, capture_output=True, text=True, timeout=60)
    return [_judged(part) for part in re.split(r"^Signature #\d+:$", done.stdout, flags=re.MULTILINE)[1:]]


def _judged(told: str) -> Judged:
    def value(name: str) -> str:
        found = re.search(rf"- {name}: (.*)", told)
        return found[1].strip() if found else ""

    return Judged(
        is_valid=value("Signature Validation") == "Signature is Valid.",
        is_whole="Total document signed" in told,
        signer=value("Signer Certificate Common Name"),
        kind=value("Signature Type"),
    )


def words_of(file: Path) -> str:
    """The text that the pages show, form fields included."""
    done = subprocess.run(["pdftotext", "-layout", str(file), "-"], check=True, capture_output=True, timeout=60)
    return done.stdout.decode()


def boxes_of(file: Path) -> dict[str, tuple[float, float, float, float]]:
    """Each word of the pages, and where it stands: left, top, right, bottom in points from the upper left corner."""
    done = subprocess.run(["pdftotext", "-bbox", str(file), "-"], check=True, capture_output=True, timeout=60)
    found = re.findall(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', done.stdout.decode())
    return {
        html.unescape(word): (float(left), float(top), float(right), float(low))
        for left, top, right, low, word in found
    }


def pyhanko_says(content: bytes, roots: bytes) -> list[PdfSignatureStatus]:
    """What pyHanko's own validator says of each signature, its signer under these roots (PEM); nothing is fetched."""
    known = [x509.Certificate.load(found) for _, _, found in pem.unarmor(roots, multiple=True)]
    trusted = ValidationContext(trust_roots=known, allow_fetching=False)
    signatures = PdfFileReader(BytesIO(content)).embedded_signatures
    return [validate_pdf_signature(found, signer_validation_context=trusted) for found in signatures]
