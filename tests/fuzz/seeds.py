"""What a real conversation looks like, to start from: ``python -m tests.fuzz.seeds`` writes it into the corpus.

One file for each parser and seed, in hex; findings are added beside them by hand, as ``PARSER-what-it-was.hex``.
"""

from __future__ import annotations

from pathlib import Path

from cardd_drivers.simulator.contents import CardContents
from cardd_drivers.simulator.files import File, Folder
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
ANSWERS = "6110" + "00" * 62 + "5A0A80250000019921" + "9000"


def corpus() -> dict[str, list[bytes]]:
    """The kept inputs, by parser."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(CORPUS.glob("*.hex")):
        found.setdefault(file.name.partition("-")[0].partition(".")[0], []).append(bytes.fromhex(file.read_text()))
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
    contents = _files(CardContents(issue(), len(PIN)).files())
    seeds = {name: contents[identifier] for identifier, name in FILES.items()}
    seeds["tlv"] = contents[0x5032]
    seeds["answers"] = bytes.fromhex(ANSWERS)
    for name, seed in seeds.items():
        (CORPUS / f"{name}-seed.hex").write_text(seed.hex() + "\n")
    for number, atr in enumerate(ATRS):
        (CORPUS / f"atr-seed{number}.hex").write_text(atr + "\n")


if __name__ == "__main__":
    main()
