"""What ``cardctl sign`` can be told of a format, and the name of the file that comes of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from cardd.cli.parser import Parser
from cardd.client import Form
from cardd.errors import InvalidRequest

SET = "submission_set"
FORMATS = ("raw", "jws", "cades", "xades", "pades", SET)
ALGORITHMS = ("RS256", "PS256", "ES256")
PACKAGINGS = ("enveloped", "enveloping", "detached")
SUFFIXES = {
    "raw": ".sig",
    "jws": ".jws",
    "cades": ".p7m",
    "xades": ".xades.xml",
    "pades": ".signed.pdf",
    SET: ".xades.xml",
}
OF_FORMAT = {
    "detached": ("jws", "cades", "xades"),
    "timestamp": ("jws", "cades", "xades", "pades"),
    "json_form": ("jws",),
    "packaging": ("xades",),
    **dict.fromkeys(("set", "signer_alone"), (SET,)),
    **dict.fromkeys(("visible", "page", "picture", "reason", "location"), ("pades",)),
}


def form_arguments(parser: Parser) -> None:
    """The format, and what belongs to it."""
    parser.add_argument("--format", choices=FORMATS, default="raw", help=parser.words("sign.format"))
    parser.add_argument("--algorithm", choices=ALGORITHMS, help=parser.words("sign.algorithm"))
    parser.add_argument("--detached", action="store_true", help=parser.words("sign.detached"))
    parser.add_argument("--timestamp", action="store_true", help=parser.words("sign.timestamp"))
    jws = parser.add_argument_group("JWS")
    jws.add_argument("--json-form", action="store_true", help=parser.words("sign.json_form"))
    xades = parser.add_argument_group("XAdES")
    xades.add_argument("--packaging", choices=PACKAGINGS, help=parser.words("sign.packaging"))
    of_set = parser.add_argument_group("submission_set")
    of_set.add_argument("--set", metavar="OID", type=_oid, help=parser.words("sign.unique_id"))
    of_set.add_argument("--signer-alone", action="store_true", help=parser.words("sign.signer_alone"))
    pades = parser.add_argument_group("PAdES")
    pades.add_argument("--visible", metavar="L,B,R,T", type=_rectangle, help=parser.words("sign.visible"))
    pades.add_argument("--page", metavar="N", type=int, help=parser.words("sign.page"))
    pades.add_argument("--picture", metavar="PATH", type=Path, help=parser.words("sign.picture"))
    pades.add_argument("--reason", metavar="TEXT", help=parser.words("sign.reason"))
    pades.add_argument("--location", metavar="TEXT", help=parser.words("sign.location"))


def form_of(told: argparse.Namespace) -> Form:
    """The choices as the API has them. Raises InvalidRequest for what belongs to another format, OSError."""
    for name, formats in OF_FORMAT.items():
        if getattr(told, name) and told.format not in formats:
            raise InvalidRequest(where=f"--{name.replace('_', '-')}", why="not_of_format")
    if told.format == SET and not told.set:
        raise InvalidRequest(where="--set", why="missing")
    form: dict[str, object] = {"format": told.format, "timestamp": told.timestamp}
    if told.algorithm:
        form["algorithm"] = told.algorithm
    match told.format:
        case "jws":
            form |= {"detached": told.detached, "jws": {"serialization": "json" if told.json_form else "compact"}}
        case "cades":
            form |= {"detached": told.detached}
        case "xades":
            form |= {"xades": {"packaging": "detached" if told.detached else told.packaging or "enveloped"}}
        case "pades":
            form |= {"pades": _pades(told)}
    return form  # type: ignore[return-value]  # JSON, as built above


def is_apart(form: Form) -> bool:
    """Whether the document itself need not be sent: its digest is enough."""
    packaging = form.get("xades")
    return (form["format"] == "cades" and form.get("detached") is True) or (
        isinstance(packaging, dict) and packaging["packaging"] == "detached"
    )


def output_of(file: Path, form: Form) -> Path:
    """The file beside it that the signed document goes to."""
    kind = str(form["format"])
    if kind == "pades":
        return file.with_suffix(SUFFIXES[kind])
    return file.with_name(file.name + (".p7s" if kind == "cades" and form.get("detached") else SUFFIXES[kind]))


def _pades(told: argparse.Namespace) -> dict[str, object]:
    pades: dict[str, object] = {name: value for name in ("reason", "location") if (value := getattr(told, name))}
    if told.visible:
        picture = {"picture": told.picture.read_bytes()} if told.picture else {}
        pades["visible"] = {"rectangle": told.visible, "page": told.page or -1, **picture}
    elif told.picture or told.page:
        raise InvalidRequest(where="--visible", why="missing")
    return pades


def _oid(text: str) -> str:
    if not text.replace(".", "").isdigit():
        raise ValueError(text)
    return text


def _rectangle(text: str) -> tuple[float, ...]:
    edges = tuple(float(edge) for edge in text.split(","))
    if len(edges) != 4:
        raise ValueError(text)
    return edges
