"""Write the last figures into a page: page.py PAGE puts bench.json and soak.json where the page has their marks."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.__main__ import RESULT
from tests.soak.__main__ import RESULT as SOAKED

MARK = "<!-- {name}: written by `make figures` -->\n"
END = "<!-- the end -->"


def main(page: Path) -> None:
    """Fill both places; what was not measured stays as it is."""
    text = page.read_text()
    for name, result, lines in (("bench", RESULT, _bench), ("soak", SOAKED, _soak)):
        if result.exists():
            before, mark, rest = text.partition(MARK.format(name=name))
            _, end, after = rest.partition(END)
            text = "".join((before, mark, *(f"{line}\n" for line in lines(result)), end, after))
    page.write_text(text)


def _bench(result: Path) -> Iterator[str]:
    yield f"{_day(result)}: {_machine()}."
    group = ""
    for measure in json.loads(result.read_text()):
        if measure["group"] != group:
            group = measure["group"]
            yield from ("", f"| {group} | figure | p95 / p99 | noise | target | |", "|---|---|---|---|---|---|")
        name, *rest = measure["cells"]
        yield f"| {name.strip()} | {' | '.join(rest)} |"


def _soak(result: Path) -> Iterator[str]:
    told = json.loads(result.read_text())
    answers = ", ".join(f"{count} × {kind}" for kind, count in sorted(told["answers"].items()))
    yield f"{_day(result)}, {told['minutes']:g} minutes: {answers}."
    yield from ("", "| what | after a quarter of the time | at the end | |", "|---|---|---|---|")
    for cells in told["flat"]:
        yield f"| {' | '.join(cells)} |"


def _day(result: Path) -> str:
    return datetime.fromtimestamp(result.stat().st_mtime, UTC).date().isoformat()


def _machine() -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    whose = "Debian's Python" if sys.base_prefix == "/usr" else "Python"
    return f"{os.cpu_count()} cores, {whose} {platform.python_version()}, {release}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
