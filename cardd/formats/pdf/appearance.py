"""What a visible signature looks like: the picture at the left, the lines beside it.

The text is set in Helvetica, one of the fonts that every reader has (ISO 32000-1, section 9.6.2.2), in its encoding
for Western Europe: é, ç and œ are there, and no font needs to be carried along.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageOps
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.images import pil_image
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from cardd.errors import PdfPictureTooLarge, PdfPictureUnreadable

name = generic.NameObject

ENCODING = "cp1252"  # Python's name for WinAnsiEncoding
MARGIN, MARGIN_MAX = 3.0, 0.1  # points, and of a very small box
SIZE_MAX, SIZE_STEP, LEADING = 12.0, 0.95, 1.2
SIZE_GOOD, GAIN = 8.0, 1.4  # lines are broken up to this size, where they grow by so much at least
PICTURE_MAX = 0.4  # of the width
NARROW, WIDE = 0.56, 1.02  # em; no glyph of Helvetica is wider than its class
CAPITAL = 0.78
WIDE_LETTERS = "mwMWŒœÆæ@%…—©®™¼½¾‰"
# by the page's Rotate: the appearance is turned against it (ISO 32000-1, section 12.5.5)
UPRIGHT = {0: (1, 0, 0, 1, 0, 0), 90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}
PIXELS_MAX = 2000  # each way
FORMATS = ("PNG", "JPEG")
ALPHA = ("LA", "PA", "La", "RGBa")


def appearance(
    writer: BasePdfFileWriter,
    box: tuple[float, float],
    rotation: int,
    lines: Sequence[str],
    picture: Image.Image | None,
) -> generic.IndirectObject:
    """A form XObject of this width and height (points), read upright on a page that is shown turned by ``rotation``."""
    width, height = box if rotation % 180 == 0 else box[::-1]
    resources = generic.DictionaryObject({name("/Font"): generic.DictionaryObject({name("/F"): _helvetica()})})
    margin = min(MARGIN, MARGIN_MAX * min(width, height))
    content, left = [b"q"], margin
    if picture is not None:
        shown = _fitted(picture, width * PICTURE_MAX - margin, height - 2 * margin)
        resources[name("/XObject")] = generic.DictionaryObject({name("/P"): pil_image(picture, writer)})
        content.append(b"q %.2f 0 0 %.2f %.2f %.2f cm /P Do Q" % (*shown, margin, (height - shown[1]) / 2))
        left += shown[0] + margin
    content += [_text(lines, left, width - left - margin, height - 2 * margin, height / 2), b"Q"]
    form = generic.StreamObject(
        {
            name("/Type"): name("/XObject"),
            name("/Subtype"): name("/Form"),
            name("/BBox"): _numbers(0, 0, width, height),
            name("/Matrix"): _numbers(*UPRIGHT[rotation]),
            name("/Resources"): resources,
        },
        stream_data=b"\n".join(content),
    )
    return writer.add_object(form)


def _helvetica() -> generic.DictionaryObject:
    entries = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica", "Encoding": "WinAnsiEncoding"}
    return generic.DictionaryObject({name(f"/{key}"): name(f"/{value}") for key, value in entries.items()})


def _fitted(picture: Image.Image, width: float, height: float) -> tuple[float, float]:
    scale = min(width / picture.width, height / picture.height)
    return picture.width * scale, picture.height * scale


def _text(lines: Sequence[str], left: float, width: float, height: float, middle: float) -> bytes:
    """The lines, around this height."""
    size, laid = _laid([_written(line) for line in lines], width, height)
    leading = size * LEADING
    top = middle + leading * len(laid) / 2 - size
    shown = [b"<%s> Tj T*" % line.encode(ENCODING).hex().encode() for line in laid]
    return b"BT /F %.2f Tf %.2f TL %.2f %.2f Td\n%s\nET" % (size, leading, left, top, b"\n".join(shown))


def _laid(lines: list[str], width: float, height: float) -> tuple[float, list[str]]:
    """The size, and the lines: whole, or broken between words where that makes them much larger."""
    whole, size = _size(lines, width, height), SIZE_GOOD
    while size > GAIN * whole:
        broken = [part for line in lines for part in _parts(line, width / size)]
        if _size(broken, width, height) >= size:
            return size, broken
        size *= SIZE_STEP
    return whole, lines


def _size(lines: list[str], width: float, height: float) -> float:
    widest = max((_width(line) for line in lines), default=0.0)
    return min(SIZE_MAX, height / (LEADING * max(len(lines), 1)), width / max(widest, 1.0))


def _parts(line: str, width: float) -> list[str]:
    parts = [""]
    for word in line.split():
        longer = f"{parts[-1]} {word}".lstrip()
        if not parts[-1] or _width(longer) <= width:
            parts[-1] = longer
        else:
            parts.append(word)
    return parts


def _written(line: str) -> str:
    """The line in letters that the font has: another's accent is left out, another script is a question mark."""
    return "".join(map(_letter, unicodedata.normalize("NFC", line)))


def _letter(letter: str) -> str:
    for known in (letter, unicodedata.normalize("NFKD", letter)[0]):
        if known.isprintable() and known.encode(ENCODING, "ignore"):
            return known
    return "?"


def _width(line: str) -> float:
    """Return the width in em, and never less than it is."""
    return sum(WIDE if letter in WIDE_LETTERS else CAPITAL if letter.isupper() else NARROW for letter in line)


def _numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject(generic.FloatObject(f"{value:g}") for value in values)


def read_picture(content: bytes) -> Image.Image:
    """The picture, upright, in a mode that a PDF has: grey, RGB, or RGB with transparency.

    Raises PdfPictureUnreadable, PdfPictureTooLarge.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content), formats=FORMATS) as picture:
                if max(picture.size) > PIXELS_MAX:
                    raise PdfPictureTooLarge(limit=f"{PIXELS_MAX} × {PIXELS_MAX}")
                return _converted(ImageOps.exif_transpose(picture))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PdfPictureTooLarge(limit=f"{PIXELS_MAX} × {PIXELS_MAX}") from fault
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, OverflowError) as fault:
        raise PdfPictureUnreadable from fault


def _converted(picture: Image.Image) -> Image.Image:
    if picture.mode in ALPHA or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture.copy() if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")
