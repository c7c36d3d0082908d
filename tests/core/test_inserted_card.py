"""What is known against a card before anybody asks it anything, and who may serve it."""

from __future__ import annotations

import pytest

from cardd.core.inserted_card import InsertedCard
from cardd.errors import CardContactless, CardError, CardIsVitale, CardMute, CardUnsupported
from cardd.model import CardKind
from cardd.values import replace
from tests.core.alone import Alone


def card(kind: CardKind, atr: bytes = b"\x3b", user: int | None = None) -> InsertedCard:
    return replace(Alone().card("card", kind, user), atr=atr)


@pytest.mark.parametrize(
    ("kind", "atr", "problem", "unreadable"),
    [
        (CardKind.CPS3, b"\x3b", None, None),
        (CardKind.CPS4, b"\x3b", None, None),
        (CardKind.UNKNOWN, b"\x3b", None, None),
        (CardKind.UNKNOWN, b"", CardMute, CardMute),
        (CardKind.VITALE, b"\x3b", CardIsVitale, CardIsVitale),
        (CardKind.CPS2TER, b"\x3b", CardUnsupported, CardUnsupported),
        (CardKind.CPS3_CONTACTLESS, b"\x3b", CardContactless, None),
        (CardKind.PKCS11, b"", None, None),
        (CardKind.PKCS12, b"", None, None),
    ],
)
async def test_what_is_known_against_a_card_is_told_before_it_is_asked_anything(
    kind: CardKind, atr: bytes, problem: type[CardError] | None, unreadable: type[CardError] | None
) -> None:
    found = card(kind, atr)
    assert (type(found.problem), type(found.unreadable)) == (problem or type(None), unreadable or type(None))
    assert found.is_mute is (problem is CardMute)


async def test_a_card_of_a_kind_that_no_driver_has_is_named() -> None:
    problem = card(CardKind.CPS2TER).problem
    assert problem
    assert problem.params == {"kind": "CPS2TER"}


@pytest.mark.parametrize(
    ("kind", "atr", "user", "natively", "is_left"),
    [
        (CardKind.CPS3, b"\x3b", None, True, False),
        (CardKind.CPS3, b"\x3b", 1000, True, False),
        (CardKind.UNKNOWN, b"\x3b", None, False, True),
        (CardKind.UNKNOWN, b"\x3b", 1000, False, False),  # its agent's reader is no module's
        (CardKind.UNKNOWN, b"", None, False, True),
        (CardKind.VITALE, b"\x3b", None, False, False),  # a patient's
        (CardKind.CPS2TER, b"\x3b", None, False, True),
        (CardKind.CPS3_CONTACTLESS, b"\x3b", None, False, True),
        (CardKind.PKCS11, b"", None, False, False),
        (CardKind.PKCS12, b"", None, False, False),
    ],
)
async def test_modules_are_left_what_no_driver_of_ours_serves(
    kind: CardKind, atr: bytes, user: int | None, natively: bool, is_left: bool
) -> None:
    found = card(kind, atr, user)
    assert (found.is_served_natively, found.is_left) == (natively, is_left)
    assert found.is_token is (kind in (CardKind.PKCS11, CardKind.PKCS12))
