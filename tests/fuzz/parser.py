"""A parser as the fuzzers see it, and what any input may do to it: a value or a refusal, soon, in little memory."""

from __future__ import annotations

import resource
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cardd.errors import CarddError
from tests.repository.rules import ROOT

GROUPS = (
    "cards",
    "clients",
    "desktop",
    "documents",
    "drivers",
    "files",
    "local",
    "pdf",
    "portals",
    "programs",
    "providers",
    "relay",
)
EXAMPLES = ROOT / "docs/examples/webps"  # what portals take over
PROCESSOR = 1.0  # seconds of it for one input, whatever the machine has to do besides
MEMORY = 64 * 1024 * 1024  # bytes by which the process may grow at one input


@dataclass(frozen=True)
class Parser:
    """``read`` takes any bytes and returns, or raises one of ``refusals``. ``modules`` are what it is made of.

    No input is longer than ``longest``; ``words`` are what a file of this kind is written with.
    """

    read: Callable[[bytes], object]
    modules: tuple[str, ...]
    refusals: tuple[type[Exception], ...] = (CarddError,)
    longest: int = 4096
    words: tuple[bytes, ...] = ()

    @property
    def sources(self) -> list[Path]:
        """The files of its modules."""
        return [source_of(module) for module in self.modules]


def source_of(module: str) -> Path:
    """Return the file of a module, which is not imported."""
    path = Path(*module.split("."))
    places = [root / path for root in (ROOT, ROOT / "drivers", EXAMPLES)]
    found = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists()]
    return found[0]


def parsers() -> Iterator[tuple[str, Parser]]:
    """Yield every parser by its name, ``GROUP.NAME``."""
    for group in GROUPS:
        found: dict[str, Parser] = import_module(f"tests.fuzz.{group}").PARSERS
        yield from ((f"{group}.{name}", parser) for name, parser in found.items())


def parser_of(name: str) -> Parser:
    """Return the parser of this name; nothing of other groups is imported."""
    group, _, own = name.partition(".")
    found: dict[str, Parser] = import_module(f"tests.fuzz.{group}").PARSERS
    return found[own]


def fault_of(parser: Parser, data: bytes) -> str | None:
    """Return what is wrong with how the parser took an input, and where; None where nothing is."""
    begun, size = time.process_time(), _largest()
    try:
        parser.read(data)
    except parser.refusals:
        pass
    except Exception as fault:  # noqa: BLE001 - any at all is what is looked for
        return f"{type(fault).__name__} at {_place(fault)}: {str(fault)[:120]}"
    if (spent := time.process_time() - begun) > PROCESSOR:
        return f"{spent:.1f} s of processor time"
    if (grown := _largest() - size) > MEMORY:
        return f"{grown // 2**20} MiB of memory"
    return None


def _largest() -> int:
    """The largest size, in bytes, that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(fault: BaseException) -> str:
    """The last line of ours that an exception came through; of the tests where it came through no other."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if Path(frame.filename).is_relative_to(ROOT)]
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(ROOT / "tests")] or frames
    installed = [frame for frame in own if ".venv" not in frame.filename] or own
    return (
        f"{Path(installed[-1].filename).relative_to(ROOT)}:{installed[-1].lineno}" if installed else "no line of ours"
    )
