"""The texts and their French: what `make`, `make check` and the build do with the .po files.

    texts.py update     write the sentences of the code into the .po files (`make texts`)
    texts.py check      fail on an entry that is untranslated, fuzzy or obsolete, and on files that the code has left
    texts.py compile    write each .mo file that is older than its .po

A domain is one .po file; which one a sentence belongs to follows from the folder of its module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages import Catalog

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "cardd/i18n/locale"
LANGUAGE = "fr"
# without dates and versions, which would differ from one run to the next
HEADER = rb"""msgid ""
msgstr ""
"Language: fr\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\n"

"""
MARKS = {"_": 1, "N_": 1, "_.plural": 2, "_.context": 2}  # what marks a sentence, by how many literals it begins with
DOMAINS = {
    "cardd/agent": "dialogs",
    "cardd/cli": "cli",
    "cardd/cli/doctor": "doctor",
    "cardd/config": "config",
    "cardd/documents": "verdicts",
    "cardd/errors": "errors",
    "cardd/formats": "stamp",
    "cardd/identity": "advice",
    "cardd/oidc": "psc",
}
NARROW = "\N{NARROW NO-BREAK SPACE}"
# by domain: PDF files have Helvetica's own encoding; terminals, where a pinentry may run, show the wide one all alike
SPACES = {"stamp": " ", "dialogs": "\N{NO-BREAK SPACE}"}
BEFORE_MARK = re.compile("[ \N{NO-BREAK SPACE}](?=[;:!?](?:\\s|$|[)»”]))")  # and not inside a command: "sport = :443"
PLACE = re.compile(r"\{(\w*)\}")


def domain_of(module: Path) -> str | None:
    """Return the domain of a module's sentences: that of the nearest folder that has one."""
    folders = (parent.relative_to(ROOT).as_posix() for parent in module.parents if parent.is_relative_to(ROOT))
    return next((DOMAINS[folder] for folder in folders if folder in DOMAINS), None)


def translations() -> list[Path]:
    """Return the .po files."""
    return sorted(LOCALE.glob("*/LC_MESSAGES/*.po"))


def marked(module: Path) -> Iterator[tuple[str, ...]]:
    """Yield what each call that marks a sentence begins with: the mark, then its literals.

    Babel's own reader of Python would take ``_("a" if few else "b")`` for the sentence "ab"; here it is an error.
    """
    calls = [node for node in ast.walk(ast.parse(module.read_bytes())) if isinstance(node, ast.Call) and node.args]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        wanted = MARKS.get(ast.unparse(call.func), 0)
        if not wanted or isinstance(call.args[0], (ast.Name, ast.Attribute, ast.Subscript)):
            continue  # a sentence by its name was marked where it stands
        given = (arg.value if isinstance(arg, ast.Constant) else None for arg in call.args[:wanted])
        literals = tuple(value for value in given if isinstance(value, str))
        if len(literals) < wanted:
            sys.exit(f"{module}:{call.lineno}: what is marked here is no literal, so nobody can translate it")
        if not fills(call, literals):
            sys.exit(f"{module}:{call.lineno}: {literals[-1]!r} has other places than are filled")
        yield (ast.unparse(call.func), *literals)


def fills(call: ast.Call, literals: tuple[str, ...]) -> bool:
    """Return whether a call that tells its sentence fills all its places, as far as the code shows."""
    mark = ast.unparse(call.func)
    filled = {keyword.arg for keyword in call.keywords} | ({"number"} if mark == "_.plural" else set())
    return mark == "N_" or None in filled or filled == places(literals) | ({"number"} & filled)


def extracted() -> dict[str, Catalog]:
    """Return the sentences of the code by domain, in the order in which they stand there."""
    from babel.messages import Catalog  # noqa: PLC0415 - Babel costs time, and a current checkout needs none of it

    found: dict[str, Catalog] = {}
    for module in sorted((ROOT / "cardd").rglob("*.py")):
        domain = domain_of(module)
        if domain is None or "cardd.i18n import" not in module.read_text(encoding="utf-8"):
            continue
        catalog = found.setdefault(domain, Catalog())
        places = [(module.relative_to(ROOT).as_posix(), 0)]
        for mark, *literals in marked(module):
            if mark == "_.context":
                catalog.add(literals[1], locations=places, context=literals[0])
            else:
                catalog.add(literals[0] if len(literals) == 1 else tuple(literals), locations=places)
    return {domain: catalog for domain, catalog in found.items() if len(catalog)}


def read(content: bytes) -> Catalog:
    """Return what a .po file holds."""
    from babel.messages.pofile import read_po  # noqa: PLC0415

    return read_po(BytesIO(content), locale=LANGUAGE)


def merged(content: bytes, wanted: Catalog) -> bytes:
    """Return a .po file with the translations of this one and the sentences that the code has now."""
    from babel.messages.pofile import write_po  # noqa: PLC0415

    catalog = read(content)
    catalog.update(wanted)
    body = BytesIO()
    write_po(body, catalog, omit_header=True, include_lineno=False, ignore_obsolete=True)
    return HEADER + body.getvalue()


def update() -> list[str]:
    """Bring the .po files to the sentences of the code; what was translated stays, what looks alike becomes fuzzy."""
    wanted = extracted()
    for domain, catalog in wanted.items():
        file = LOCALE / LANGUAGE / "LC_MESSAGES" / f"{domain}.po"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes() if file.exists() else HEADER
        if (both := merged(content, catalog)) != content:
            file.write_bytes(both)
    for file in translations():
        if file.stem not in wanted:
            file.unlink()
    return []


def check() -> list[str]:
    """Return what is wrong with the .po files, one sentence each."""
    wanted = extracted()
    files = {file.stem: file for file in translations()}
    wrong = [f"{name}: has texts or a .po file, not both; run `make texts`" for name in wanted.keys() ^ files.keys()]
    for domain in sorted(wanted.keys() & files.keys()):
        content = files[domain].read_bytes()
        wrong += [f"{domain}.po: {fault}" for fault in faults(read(content))]
        if content != merged(content, wanted[domain]):
            wrong.append(f"{domain}.po: not what the code asks for; run `make texts`")
    return wrong


def faults(catalog: Catalog) -> Iterator[str]:
    """Yield what a translator has left open or got wrong."""
    for message in catalog:
        if not message.id:
            continue
        english, french = texts_of(message.id), texts_of(message.string or "")
        if message.fuzzy:
            yield f"fuzzy: {message.id!r}"
        if not all(french):
            yield f"untranslated: {message.id!r}"
        elif places(french) != places(english):
            yield f"has not the {{places}} of its sentence: {message.id!r}"


def texts_of(texts: str | Iterable[str | None]) -> tuple[str, ...]:
    """Return one side of an entry: one text, or its plural forms."""
    return (texts,) if isinstance(texts, str) else tuple(text or "" for text in texts)


def places(texts: tuple[str, ...]) -> set[str]:
    """Return the names of the places that parameters fill."""
    return {name for text in texts for name in PLACE.findall(text)}


def typeset(catalog: Catalog, space: str) -> Catalog:
    """Return the catalog with this space before ; : ! ?, where French has one as it is printed: no line breaks there.

    Translators type a plain one.
    """
    for message in catalog:
        if message.id and message.string:
            forms = [BEFORE_MARK.sub(space, form) for form in texts_of(message.string)]
            message.string = forms[0] if isinstance(message.string, str) else tuple(forms)
    return catalog


def compile_stale() -> list[str]:
    """Write the .mo files that are missing or older than their .po; each appears whole, so tests may run meanwhile."""
    for file in translations():
        compiled = file.with_suffix(".mo")
        newest = max(file.stat().st_mtime, Path(__file__).stat().st_mtime)
        if compiled.exists() and compiled.stat().st_mtime >= newest:
            continue
        from babel.messages.mofile import write_mo  # noqa: PLC0415

        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            write_mo(stream, typeset(read(file.read_bytes()), SPACES.get(file.stem, NARROW)))
        part.replace(compiled)
    return []


if __name__ == "__main__":
    if wrong := {"update": update, "check": check, "compile": compile_stale}[sys.argv[1]]():
        sys.exit("\n".join(wrong))
