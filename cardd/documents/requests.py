"""What is asked for: a document to sign, in which format, and what the user is shown of it; one to verify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from cardd.core.signing import Signed
from cardd.formats.options import (
    CadesOptions,
    JwsOptions,
    PadesOptions,
    RawOptions,
    SubmissionSetOptions,
    XadesOptions,
)
from cardd.model import Algorithm
from cardd.values import Value, field

FormatOptions = JwsOptions | CadesOptions | PadesOptions | XadesOptions | SubmissionSetOptions
Options = RawOptions | FormatOptions


class ToSign(Value):
    """One signature asked for.

    Either ``document``, a file that stays open until the end, or ``digest``, its SHA-256, for what stands beside its
    document; neither for a submission set, which has its documents in its options. ``name`` and ``patient`` are shown
    to the user; ``timestamp`` wants one of RFC 3161 with it.
    """

    name: str
    options: Options
    document: BinaryIO | None = None
    digest: bytes | None = None
    patient: str | None = None
    algorithm: Algorithm | None = None
    timestamp: bool = False


class SignedDocument(Value):
    """What came of it: a file at its beginning, to be closed by whoever takes it; for a raw signature, its value."""

    options: Options
    signed: Signed
    content: BinaryIO


class ToVerify(Value):
    """What is given: open files, which stay open; they have a number (``fileno``).

    ``content`` is the document of a detached signature. A raw one is ``signature``, the value, with ``certificate``
    (PEM or DER, the signer's first), and ``document`` is what it is of. ``documents`` are those of a DMP submission
    set, all of them by their ``uniqueId``; ``document`` is the set's signature then.
    """

    document: BinaryIO
    content: BinaryIO | None = None
    signature: bytes | None = None
    certificate: bytes | None = None
    documents: Mapping[str, BinaryIO] = field(default_factory=dict)
