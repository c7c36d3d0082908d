"""What the daemon raises is what the client raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from cardd.api.problems import problem
from cardd.client.transport import error_of
from cardd.errors import CardAmbiguous, CarddError, InternalError, PinWrong, every_error


def sent(error: CarddError, language: str = "en") -> bytes:
    """The body that the daemon answers with."""
    return encode(problem(error, language).body)


@pytest.mark.parametrize("kind", [kind for kind in every_error() if kind is not CardAmbiguous])
def test_every_error_of_the_daemon_comes_back_as_its_own_class(kind: type[CarddError]) -> None:
    error = error_of(sent(kind.received()))
    assert type(error) is kind
    assert error.params["title"]
    assert error.params["remedy"]


def test_numbers_and_texts_come_with_the_error() -> None:
    error = error_of(sent(PinWrong(tries_left=2)))
    assert error is not None
    assert error.params["tries_left"] == 2
    assert error.params["detail"] == "The card refused the PIN. Tries left: 2."


def test_the_cards_to_choose_from_come_with_the_error() -> None:
    error = error_of(sent(CardAmbiguous(("a", "b"))))
    assert isinstance(error, CardAmbiguous)
    assert error.cards == ("a", "b")


def test_an_error_of_a_newer_daemon_keeps_its_code_and_texts() -> None:
    error = error_of(b'{"code": "card.melted", "title": "Melted", "detail": "It is liquid.", "status": 409}')
    assert type(error) is InternalError
    assert error.params == {"code": "card.melted", "title": "Melted", "detail": "It is liquid."}


@given(st.binary(max_size=200))
def test_what_is_no_problem_is_none(raw: bytes) -> None:
    assert error_of(raw) is None
