"""One parser under atheris: ``python -m tests.fuzz.guided PARSER DIRECTORY SECONDS``.

Inputs that take a new branch are left in ``DIRECTORY/inputs``, from where it begins too, and what is wrong with any of
them, once for each place, in ``DIRECTORY/found``. A fault ends nothing: the time is used to its end.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import warnings
from pathlib import Path

import atheris

PROCESS_MAX = 1024  # MiB
HANGS = 20  # seconds of one input: then the process is ended, and the input kept
LIBRARIES = {
    "pdf": ["pyhanko.pdf_utils"],
    "portals": ["web_eid", "signed", "psc_login", "card_login", "jwt"],
    "providers": ["jwt"],
}  # in Python, between an input and ours: slow to prepare


class Found:
    """What was wrong, each kept once: a file with the input, named for it, and a line of what happened."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: set[str] = set()

    def note(self, fault: str, data: bytes) -> None:
        """Keep a fault that is none of those before: they are told apart by kind and place."""
        kind = "more time" if fault.endswith("time") else "more memory" if fault.endswith("memory") else fault
        kind = kind.partition(": ")[0]
        if kind not in self._known:
            self._known.add(kind)
            name = hashlib.sha256(data).hexdigest()[:12]
            (self._directory / f"{name}.input").write_bytes(data)
            (self._directory / f"{name}.txt").write_text(fault)


def main(name: str, directory: Path, seconds: int) -> None:
    """Fuzz for so long. Ends the process."""
    warnings.simplefilter("ignore")
    logging.disable()
    with atheris.instrument_imports(
        include=["cardd", "cardd_drivers", "cardd_simulators", *LIBRARIES.get(name.partition(".")[0], [])]
    ):
        from tests.fuzz.parser import fault_of, parser_of

        parser = parser_of(name)
    found = Found(directory / "found")
    inputs = directory / "inputs"
    for file in inputs.iterdir():  # what is loaded at the first use is no input's time or memory
        fault_of(parser, file.read_bytes())

    def one(data: bytes) -> None:
        if fault := fault_of(parser, data):
            found.note(fault, data)

    words = directory / "words"  # libFuzzer's dictionary: a text in quotes a line, an empty one is refused
    words.write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in parser.words or (b"\0",))
    )
    limits = [f"-max_total_time={seconds}", f"-max_len={parser.longest}", f"-timeout={HANGS}"]
    more = [f"-rss_limit_mb={PROCESS_MAX}", f"-artifact_prefix={directory / 'found'}/", f"-dict={words}"]
    atheris.Setup([sys.argv[0], *limits, *more, "-print_final_stats=1", "-verbosity=1", str(inputs)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
