"""The picture of a visible signature: decoded within limits, whatever its file says of itself."""

from __future__ import annotations

import warnings
from io import BytesIO

from PIL import Image, ImageOps

from cardd.errors import PdfPictureTooLarge, PdfPictureUnreadable

PIXELS_MAX = 2000  # each way
FORMATS = ("PNG", "JPEG")
ALPHA = ("LA", "PA", "La", "RGBa")


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
