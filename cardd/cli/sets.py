"""DMP submission sets on the command line: each document is given as ``OID=PATH``, by its XDS ``uniqueId``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cardd.cli.context import Context
from cardd.cli.handing import HandOver
from cardd.client import Form, ToSign
from cardd.errors import InvalidRequest

XML = ".xml"


def named_files(context: Context, given: Iterable[str]) -> dict[str, Path]:
    """The files by their names. Raises InvalidRequest for what is no ``OID=PATH``, or is there twice."""
    named: dict[str, Path] = {}
    for one in given:
        name, _, path = one.partition("=")
        if not name or not path:
            raise InvalidRequest(where=one, why=context.words("set.named"))
        if name in named:
            raise InvalidRequest(where=one, why="duplicate")
        named[name] = Path(path)
    return named


async def set_to_sign(context: Context, hand_over: HandOver, documents: dict[str, Path], form: Form) -> ToSign:
    """Hand every document over; those in XML are signed in their canonical form, as the DMP wants a CDA."""
    listed = []
    for name, path in documents.items():
        held = await hand_over(path)
        listed.append({"unique_id": name, "document_id": held, "is_xml": path.suffix.lower() == XML})
    asked = context.arguments
    told = {"unique_id": asked.set, "documents": listed, "certificates": "signer" if asked.signer_alone else "chain"}
    name = context.words("sign.set", id=asked.set, count=len(listed))
    return ToSign(name, patient=asked.patient, form={**form, "submission_set": told})
