"""The models of docs/model hold where ProVerif reads them, and each query fails without its guard.

ProVerif is no package of Debian's: where it is not installed, what can be seen without it is checked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repository.rules import ROOT

MODELS = sorted((ROOT / "docs/model").glob("*.pv"))
QUERY = re.compile(r"^\(\* (query|reaches)(?: (\w+))?:", re.MULTILINE)
GUARD = re.compile(r"\(\* guard (\w+) \*\)")
QUERIES_MIN = 8
PROVERIF = shutil.which("proverif")

needs_proverif = pytest.mark.skipif(PROVERIF is None, reason="ProVerif is not installed")


def _names(model: str) -> list[str]:
    """The queries in their order; those that show that a state is reached have no name."""
    return [name for _, name in QUERY.findall(model)]


def _answers(model: str, folder: Path) -> dict[str, list[bool]]:
    """What ProVerif says of each query, by its name."""
    path = folder / "model.pv"
    path.write_text(model, encoding="utf-8")
    said = subprocess.run([str(PROVERIF), str(path)], capture_output=True, text=True, timeout=100, check=True).stdout
    results = re.findall(r"^Query .* is (true|false)\.$", said, re.MULTILINE)
    answers: dict[str, list[bool]] = {}
    for name, result in zip(_names(model), results, strict=True):
        answers.setdefault(name, []).append(result == "true")
    return answers


def _guards() -> list[tuple[Path, str]]:
    return [(path, name) for path in MODELS for name in sorted(set(GUARD.findall(path.read_text("utf-8"))))]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_each_query_has_a_guard_without_which_it_fails_and_shows_what_it_reaches(path: Path) -> None:
    """A query that holds without any guard, or because nothing happens at all, would prove nothing."""
    model = path.read_text("utf-8")
    assert set(GUARD.findall(model)) == set(_names(model)) - {""}
    assert "" in _names(model)


def test_the_models_ask_enough() -> None:
    """Secrets, agreement of consent and signature, other origins, replay: pairing, pages, tokens, PKCS#11."""
    assert sum(name != "" for path in MODELS for name in _names(path.read_text("utf-8"))) >= QUERIES_MIN


@needs_proverif
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_holds(path: Path, tmp_path: Path) -> None:
    """Every query is true, and what should be reached is."""
    for name, results in _answers(path.read_text("utf-8"), tmp_path).items():
        assert set(results) == {name != ""}, name


@needs_proverif
@pytest.mark.parametrize(("path", "guard"), _guards(), ids=lambda value: getattr(value, "stem", value))
def test_without_its_guard_a_query_fails(path: Path, guard: str, tmp_path: Path) -> None:
    """The lines of one guard are left out: the attack that they keep away is found."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    variant = "".join(line for line in lines if guard not in GUARD.findall(line))
    assert _answers(variant, tmp_path)[guard] == [False]
