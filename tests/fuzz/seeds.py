"""What a real conversation looks like, to start from: ``python -m tests.fuzz.seeds`` writes it into the corpus.

One file for each parser and seed, in hex; findings are added beside them by hand, as ``PARSER-what-it-was.hex``.
"""

from __future__ import annotations

from pathlib import Path

from cardd_simulators.cards.behaviour import USUAL
from cardd_simulators.cards.contents import CardContents
from cardd_simulators.cards.files import File, Folder
from tests.rig.simulator import PIN, issue

CORPUS = Path(__file__).parent / "corpus"
FILES = {
    0xD003: "serial",
    0x2F00: "ef_dir",
    0x5031: "odf",
    0x7001: "aodf",
    0x7002: "prkdf",
    0x7005: "cdf",
    0xB002: "certificate",
}
ATRS = (
    "3BAC00402A001225006480000310009000",
    "3B9B188001001225006480040100009044",
    "3B8F80010031B86404B0ECC1739401808290000E",
)
ANSWERS = ("6110", "5A0A802500000199219000")  # each goes behind its length, in two bytes


def corpus() -> dict[str, dict[str, bytes]]:
    """The kept inputs, by parser and by what they are."""
    found: dict[str, dict[str, bytes]] = {}
    for file in sorted(CORPUS.glob("*.hex")):
        parser, _, name = file.stem.partition("-")
        found.setdefault(parser, {})[name] = bytes.fromhex(file.read_text())
    return found


def _files(folder: Folder) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for child in folder.children:
        if isinstance(child, File):
            found[child.identifier] = bytes(child.data)
        else:
            found |= _files(child)
    return found


def main() -> None:
    """Write the seeds."""
    contents = _files(CardContents(issue(), len(PIN), USUAL).files())
    seeds = {name: contents[identifier] for identifier, name in FILES.items()}
    seeds["tlv"] = contents[0x5032]
    answers = [bytes.fromhex(answer) for answer in ANSWERS]
    seeds["answers"] = seeds["answers_t1"] = b"".join(len(answer).to_bytes(2) + answer for answer in answers)
    seeds["directory_file"] = b"\x11" + seeds["cdf"]  # 17 bytes for each READ BINARY
    seeds["object_file"] = b"\x00" + seeds["certificate"]
    seeds["key"] = seeds["certificate"]
    for name, seed in seeds.items():
        (CORPUS / f"{name}-seed.hex").write_text(seed.hex() + "\n")
    for number, atr in enumerate(ATRS):
        (CORPUS / f"atr-seed{number}.hex").write_text(atr + "\n")


if __name__ == "__main__":
    main()
