"""The inputs that are kept: a file for each parser, a line for each input, in hex, and its name where it has one.

``seed`` inputs are made by ``python -m tests.fuzz.seeds``; named ones were found to break something; the others were
found by ``make fuzz KEEP=1``, each of which takes a branch of the parser that no smaller one takes.
"""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def kept(parser: str) -> list[tuple[bytes, str]]:
    """Return the inputs of a parser, each with its name, which most have not."""
    file = _file(parser)
    if not file.exists():
        return []
    lines = [line.partition(" ") for line in file.read_text().splitlines()]
    return [(bytes.fromhex(data.strip("-")), name) for data, _, name in lines]


def keep(parser: str, inputs: list[tuple[bytes, str]]) -> None:
    """Replace them; the named ones come first, then the shorter ones."""
    ordered = sorted(set(inputs), key=lambda one: (not one[1], one[1], len(one[0]), one[0]))
    file = _file(parser)
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{data.hex() or '-'} {name}".rstrip() + "\n" for data, name in ordered))


def seed(parser: str, inputs: dict[str, bytes]) -> None:
    """Replace the seeds among them."""
    others = [(data, name) for data, name in kept(parser) if not name.startswith("seed")]
    keep(parser, [*others, *((data, f"seed {name}".rstrip()) for name, data in inputs.items())])


def _file(parser: str) -> Path:
    return CORPUS / (parser.replace(".", "/", 1) + ".hex")
