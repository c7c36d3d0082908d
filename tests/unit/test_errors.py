"""Each error says what it is, what happened and what to do, and is raised with what its sentences need."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import cardd.errors
from cardd.errors import (
    AuditBroken,
    CarddError,
    CardGarbled,
    CardIncomplete,
    CardRefused,
    InvalidRequest,
    LoginCertificateExpired,
    MethodUnavailable,
    PinWrong,
    PukRefused,
    PukWrong,
    SessionExpired,
    StateDamaged,
    errors_by_code,
)
from cardd.i18n import LANGUAGES
from tests.repository.rules import ROOT

PLACE = re.compile(r"\{(\w+)\}")


def tree(family: type[CarddError] = CarddError) -> Iterator[type[CarddError]]:
    """Every class of the tree, families too."""
    for kind in family.__subclasses__():
        if kind.__module__.startswith("cardd.errors"):
            yield kind
            yield from tree(kind)


ERRORS = [kind for kind in tree() if kind.title]


@dataclass(frozen=True)
class Site:
    """A place in the code that names an error: which one, and how.

    ``given`` are the names of the params of a call, None where it is no call or takes them from a mapping; ``words``
    are the literals among them.
    """

    place: str
    kind: type[CarddError]
    given: frozenset[str] | None
    words: tuple[tuple[str, str], ...]


@cache
def sites() -> tuple[Site, ...]:
    """All places in cardd and its drivers that name a class of errors outside of a type or an except."""
    return tuple(site for package in ("cardd", "drivers") for file in sorted((ROOT / package).rglob("*.py"))
                 if file.parent.name != "errors" for site in _sites(file))  # fmt: skip


def _sites(file: Path) -> Iterator[Site]:
    tree = ast.parse(file.read_bytes())
    caught = {id(node) for handler in ast.walk(tree) if isinstance(handler, ast.ExceptHandler) and handler.type
              for node in ast.walk(handler.type)}  # fmt: skip
    called = {id(call.func): call for call in ast.walk(tree) if isinstance(call, ast.Call)}
    bare = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or id(node) in caught:
            continue
        kind = getattr(cardd.errors, node.id, None)
        if isinstance(kind, type) and issubclass(kind, CarddError):
            call = called.get(id(node))
            keywords = call.keywords if call else []
            words = tuple(
                (one.arg or "", str(one.value.value)) for one in keywords if isinstance(one.value, ast.Constant)
            )
            is_open = (not call and id(node) not in bare) or any(one.arg is None for one in keywords)
            given = None if is_open else frozenset(one.arg or "" for one in keywords)
            yield Site(f"{file.relative_to(ROOT)}:{node.lineno}", kind, given, words)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_says_what_it_is_what_happened_and_what_to_do(kind: type[CarddError]) -> None:
    for sentence in (
        kind.title,
        kind.detail,
        kind.remedy,
        *(text for words in kind.words.values() for text in words.values()),
    ):
        assert sentence.strip()
        assert set(PLACE.findall(sentence)) <= kind.fields
    for language in LANGUAGES:
        assert all(kind.received().told(language))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_is_raised_somewhere(kind: type[CarddError]) -> None:
    assert any(site.kind is kind for site in sites())


def test_each_place_gives_the_params_that_its_error_has() -> None:
    """mypy does not see all of them: `raise Error` is no call, and a class in a variable may be any."""
    closed = [(site.place, site.kind, site.given) for site in sites()
              if site.given is not None and site.kind.__init__ is CarddError.__init__]  # fmt: skip
    unknown = [(place, name) for place, kind, given in closed for name in given - kind.fields]
    lacking = [(place, name) for place, kind, given in closed
               for name in kind.fields - given if not hasattr(kind, name)]  # fmt: skip
    assert (unknown, lacking) == ([], [])
    assert len(closed) > len(sites()) / 2


def test_each_word_that_is_named_has_its_sentence() -> None:
    unknown = [
        (site.place, name, word)
        for site in sites()
        for name, word in site.words
        if name in site.kind.words and word not in site.kind.words[name]
    ]
    # what says it without words of a language
    assert [one for one in unknown if re.fullmatch(r"[a-zà-ÿ_]+", one[2])] == []


@pytest.mark.parametrize("kind", [CardGarbled, CardIncomplete])
def test_what_a_card_garbles_or_lacks_is_told_in_french_too(kind: type[CarddError]) -> None:
    named = {word for site in sites() if site.kind is kind for name, word in site.words if name == "what"}
    assert named <= kind.words["what"].keys()
    for word in kind.words["what"]:
        french, english = (kind.received(what=word).told(language).detail for language in ("fr", "en"))
        assert french != english
        assert f"({word})." not in french


def drawn() -> Iterator[tuple[str, str, str]]:
    """Each class that the docstring draws: its parent, its module and its name."""
    above: dict[int, tuple[str, str]] = {2: ("CarddError", "base.py")}
    depth, module = 0, ""
    for line in (cardd.errors.__doc__ or "").partition("::\n\n    CarddError\n")[2].splitlines():
        if "·" in line:
            depth = line.index("·") // 4
            module = above[depth][1]
        for module_named, name in re.findall(r"(\(\w+\.py\))|(\w+)", re.sub(r"(\w+) (\(\w+\.py\))", r"\2 \1", line)):
            module = module_named.strip("()") or module
            if name:
                yield above[depth][0], module, name
                above[depth + 1] = name, module


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    found = {(kind.__bases__[0].__name__, kind.__module__.rpartition(".")[2] + ".py", kind.__name__) for kind in tree()}
    assert set(drawn()) == found


def test_each_code_is_one_class() -> None:
    codes = [kind.code for kind in ERRORS if "code" in vars(kind)]
    assert sorted(codes) == sorted(errors_by_code())


def test_params_are_attributes() -> None:
    error = CardRefused(command="VERIFY", sw="6F00")
    assert (error.command, error.sw) == ("VERIFY", "6F00")
    assert str(error) == "card.refused (command=VERIFY, sw=6F00)"


def test_a_param_that_is_missing_or_unknown_is_a_mistake_of_the_code() -> None:
    with pytest.raises(TypeError, match="CardRefused: sw"):
        CardRefused(command="VERIFY")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="PinWrong: tries"):
        PinWrong(tries=2)  # type: ignore[call-arg]


def test_an_error_is_told_in_the_language_of_who_asks() -> None:
    error = SessionExpired(reason="idle")
    assert error.told("en").detail == "The session expired: nothing was asked of it for long."
    french = error.told("fr").detail.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert french == "La session a expiré : rien ne lui a été demandé depuis longtemps."


def test_a_time_is_told_as_a_day_and_stays_a_time_for_programs() -> None:
    error = LoginCertificateExpired(not_after="2026-11-30T01:07:03+00:00")
    assert "30/11/2026" in error.told("fr").detail
    assert "2026-11-30:" in error.told("en").detail
    assert error.params["not_after"] == "2026-11-30T01:07:03+00:00"


def test_a_word_without_a_sentence_is_shown_as_it_is() -> None:
    error = InvalidRequest(where="--listen", why="127.0.0.1:PORT")
    assert error.told("en").detail == "The field --listen will not do: 127.0.0.1:PORT."


def test_what_another_program_told_keeps_its_sentences() -> None:
    error = StateDamaged.received(title="Kaputt", file="logins.json")
    assert (error.told("en").title, error.file) == ("Kaputt", "logins.json")
    assert "logins.json" in error.told("en").detail


def test_a_name_that_looks_like_a_place_does_no_harm() -> None:
    error = MethodUnavailable(method="{why}", why="no_hint")
    assert error.told("en").detail == (
        "The login method {why} cannot be used on this workstation: it needs the national id."
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unblocking_code_that_is_wrong_on_a_token_tells_no_number_that_nobody_knows(language: str) -> None:
    error = PukRefused()
    assert (error.code, error.tries_left) == (PukWrong.code, None)
    assert ":" not in error.told(language).detail
    assert "2" in PukWrong(tries_left=2).told(language).detail


def test_what_was_changed_in_the_audit_log_is_told() -> None:
    assert AuditBroken(row=3, why="removed").told("en").detail == "The audit log was changed. Row 3 was removed."
