"""What is asked for: a document, its format, and what the user is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from cardd.core.signing import Signed
from cardd.formats.options import CadesOptions, JwsOptions, RawOptions
from cardd.model import Algorithm

FormatOptions = JwsOptions | CadesOptions
Options = RawOptions | FormatOptions


@dataclass(frozen=True, slots=True)
class ToSign:
    """One signature asked for.

    Either ``document``, a file that stays open until the end, or ``digest``, its SHA-256, for what stands beside its
    document. ``name`` and ``patient`` are shown to the user; ``timestamp`` wants one of RFC 3161 with it.
    """

    name: str
    options: Options
    document: BinaryIO | None = None
    digest: bytes | None = None
    patient: str | None = None
    algorithm: Algorithm | None = None
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """What came of it: a file at its beginning, to be closed by whoever takes it; for a raw signature, its value."""

    options: Options
    signed: Signed
    content: BinaryIO
