"""What inputs reach of a parser: ``python -m tests.fuzz.reached PARSER DIRECTORY [--keep]``, in a process of its own.

Prints a line of JSON: lines and branches of the parser's modules, those that some input took and all of them. With
``--keep``, the inputs of ``DIRECTORY/inputs`` are added to those that are kept, but for those that take no branch that
a smaller one does not take.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from coverage import Coverage

from tests.fuzz.corpus import keep, kept
from tests.repository.rules import ROOT

INPUTS_MAX, KEPT_MAX = 60, 8 * 1024  # inputs without a name, and their bytes, that are kept of a parser
Arc = tuple[str, int, int]


def main(name: str, directory: Path, *, keeps: bool) -> None:
    """Run all inputs; print what they reach."""
    warnings.simplefilter("ignore")
    measured = Coverage(
        branch=True,
        config_file=False,
        data_file=None,
        include=[f"{ROOT}/{code}/**" for code in ("cardd", "drivers", "docs/examples")],
    )
    measured.start()
    from tests.fuzz.parser import fault_of, parser_of

    parser = parser_of(name)
    sources = [str(file) for file in parser.sources]
    found = {file.read_bytes() for file in (directory / "inputs").iterdir()}
    named = {data: told for data, told in kept(name) if told}
    ordered = [*named, *sorted(found - named.keys(), key=lambda data: (len(data), data))]
    for number, data in enumerate(ordered):
        measured.switch_context(str(number))
        fault_of(parser, data)
    measured.stop()
    if keeps:
        chosen = _covering(measured, sources, ordered, len(named))
        keep(name, [(data, named.get(data, "")) for data in chosen])
    print(json.dumps({"inputs": len(ordered), **_totals(measured, sources)}))


def _totals(measured: Coverage, sources: list[str]) -> dict[str, int]:
    with tempfile.NamedTemporaryFile() as report:
        measured.json_report(include=sources, outfile=report.name)
        totals = json.loads(Path(report.name).read_text())["totals"]
    names = {"lines": "covered_lines", "all_lines": "num_statements"}
    names |= {"branches": "covered_branches", "all_branches": "num_branches"}
    return {name: totals[key] for name, key in names.items()}


def _covering(measured: Coverage, sources: Iterable[str], ordered: list[bytes], named: int) -> Iterator[bytes]:
    """Yield the named ones, and the others that take a branch which none before them takes, up to the limits."""
    data, known = measured.get_data(), set[Arc]()
    count = size = 0
    for number, content in enumerate(ordered):
        data.set_query_context(str(number))
        arcs = {(source, *arc) for source in sources for arc in data.arcs(source) or ()}
        is_new = not arcs <= known
        known |= arcs
        if number < named:
            yield content
        elif is_new and count < INPUTS_MAX and size + len(content) <= KEPT_MAX:
            count, size = count + 1, size + len(content)
            yield content


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), keeps="--keep" in sys.argv)
