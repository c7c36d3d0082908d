"""What will not do is told by the option that gave it, for every command that fills a request."""

from __future__ import annotations

import io
import re
from argparse import Namespace
from collections.abc import Iterator
from functools import cache

import pytest
from msgspec import Struct, inspect

from cardd.api.schemas.clients import AllowBody
from cardd.api.schemas.sessions import InsiBody, SessionBody, SituationBody, VihfBody
from cardd.api.schemas.signatures import SignatureItem
from cardd.api.schemas.verifications import VerificationBody
from cardd.api.schemas.workstation import TraceBody
from cardd.cli.cardctl import command_line
from cardd.cli.command import Context
from cardd.cli.failures import FIELDS, tell
from cardd.cli.parser import Parser
from cardd.cli.terminal import Terminal
from cardd.errors import CarddError, InvalidRequest, every_error

LPS = ("--lps-name", "LPS SIMULATION", "--lps-homologation", "SIM-0001")
COMMANDS = {
    "login": ("login",),
    "sign": ("sign", "a.xml"),
    "vihf": ("vihf", *LPS),
    "insi": ("insi", *LPS, "--billing", "991234567"),
    "verify": ("verify", "a.xml"),
    "origins allow": ("origins", "allow", "https://site.example"),
    "trace": ("trace",),
}
# what a command does not let its user choose: it is fixed, or found by the command itself
UNGIVEN = {
    "sign": {
        *("digest", "document", "document_id", "document_name", "mime_type"),
        *("jws.typ", "jws.cty", "xades.uri", "xades.certificate", "pades.field"),
        *(f"submission_set.documents.{name}" for name in ("unique_id", "document", "document_id", "is_xml", "digest")),
    },
    "vihf": {"type"},
    "insi": {"type"},
}


@cache
def parsed(command: str, language: str) -> Namespace:
    given = list(COMMANDS[command])
    return command_line(language, given).parse_args(given)


def parser_of(command: str) -> Parser:
    parser = parsed(command, "en").parser
    assert isinstance(parser, Parser)
    return parser


def leaves(body: type[Struct], inside: str = "") -> Iterator[str]:
    """Each field of a request, with all that it is in."""
    for field in inspect.type_info(body).fields:  # type: ignore[attr-defined]
        kinds = field.type.types if isinstance(field.type, inspect.UnionType) else [field.type]
        kinds = [kind.item_type if isinstance(kind, inspect.ListType) else kind for kind in kinds]
        structs = [kind.cls for kind in kinds if isinstance(kind, inspect.StructType)]
        if structs:
            yield from leaves(structs[0], f"{inside}{field.encode_name}.")
        else:
            yield f"{inside}{field.encode_name}"


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("login", SessionBody),
        ("sign", SignatureItem),
        ("vihf", VihfBody),
        ("vihf", SituationBody),
        ("insi", InsiBody),
        ("insi", SituationBody),
        ("verify", VerificationBody),
        ("origins allow", AllowBody),
        ("trace", TraceBody),
    ],
)
def test_each_field_that_a_command_fills_has_its_option(command: str, body: type[Struct]) -> None:
    parser = parser_of(command)
    ungiven = {field for field in leaves(body) if parser.option_for(f"$.{field}") is None}

    assert ungiven == UNGIVEN.get(command, set()) & set(leaves(body))
    told = parser.format_help()
    assert all(option in told for field in leaves(body) if (option := parser.option_for(f"$.{field}")))


@pytest.mark.parametrize(
    ("command", "field", "option"),
    [
        ("login", "$.situation", "--situation"),
        ("login", "$.acting.national_id", "--national-id"),
        ("login", "$.flow", "--browser"),
        ("sign", "$.xades.packaging", "--packaging"),
        ("sign", "$.signatures[3].pades.visible.rectangle[0]", "--visible"),
        ("sign", "$.submission_set.unique_id", "--set"),
        ("vihf", "$.lps.homologation", "--lps-homologation"),
        ("vihf", "$.patient", "--ins"),
        ("vihf", "$.means", "--means"),
        ("insi", "$.specialty", "--specialty"),
        ("insi", "$.id", "--situation"),
        ("verify", "$.certificate", "--certificate"),
        ("verify", "$.documents[1].unique_id", "--document"),
        ("origins allow", "$.rights[0]", "--right"),
    ],
)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_sentence_names_the_option_and_no_field(command: str, field: str, option: str, language: str) -> None:
    told = said(command, InvalidRequest(where=field, why="missing"), language)

    assert re.search(rf"(?<!-){option}(?![\w-])", told)
    assert "$" not in told


@pytest.mark.parametrize("code", FIELDS)
def test_an_error_about_one_value_names_its_option_where_the_command_has_it(code: str) -> None:
    [kind] = [kind for kind in every_error() if kind.code == code]
    field = FIELDS[code].replace("{what}", "billing" if code == "assertion.value" else "name")
    having = [command for command in COMMANDS if parser_of(command).option_for(field)]

    assert having
    for command in COMMANDS:
        option = parser_of(command).option_for(field)
        told = said(command, kind.received(what=field.rpartition(".")[2]), "en")
        assert (option is not None and option in told) is (command in having)


def said(command: str, error: CarddError, language: str) -> str:
    """What a command that fails so says."""
    err = io.StringIO()
    tell(Context(parsed(command, language), language, Terminal(io.StringIO(), err)), error)
    return err.getvalue()
