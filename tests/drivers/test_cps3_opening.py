"""What opening a CPS3 finds, what it costs, and what a broken or hostile card gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.apdu import PARTS_MAX, Command, Response
from cardd.driver import Card
from cardd.errors import CarddError, CardGarbled, CardIncomplete, CardRefused
from cardd.model import CardKind, KeyPurpose, PinInfo
from cardd_drivers.cps3 import Cps3Driver
from tests.drivers.channel import CountingChannel
from tests.drivers.conftest import Benches
from tests.drivers.pki import authentication_pair, signature_pair
from tests.drivers.small_card import EF_DIR, SmallCard, files

COLD_MAX = 32


def _open(card: SmallCard) -> tuple[Card, CountingChannel]:
    channel = CountingChannel(card.process)
    return Cps3Driver().open(channel, CardKind.CPS3), channel


def _with(path: str, content: bytes) -> SmallCard:
    return SmallCard({**files(), path: content})


def test_opening_cold_with_both_certificates_costs_at_most_32_apdus() -> None:
    opened, channel = _open(SmallCard())
    assert len(channel.sent) == 10
    assert {len(found.der) > 2048 for found in opened.certificates()} == {True}  # as long as any real one
    assert channel.count() <= COLD_MAX


def test_certificates_are_read_once() -> None:
    opened, channel = _open(SmallCard())
    first = opened.certificates()
    channel.count()
    assert opened.certificates() is first
    assert channel.count() == 0


def test_the_card_is_described_by_its_own_directories() -> None:
    info = _open(SmallCard())[0].info
    assert (info.kind, info.driver, info.serial, info.label) == (CardKind.CPS3, "cps3", "99213845", "CPS3")
    assert {key.purpose: (key.label, key.reference, key.pin) for key in info.keys} == {
        KeyPurpose.SIGNATURE: ("CPS_PRIV_SIG", 0x81, 1),
        KeyPurpose.AUTHENTICATION: ("CPS_PRIV_AUT", 0x82, 1),
    }


def test_the_holders_pin_is_told_from_the_unblocking_code_that_stands_before_it() -> None:
    assert _open(SmallCard())[0].info.pin == PinInfo(1, "Code porteur", 4, 4, 3)


def test_each_certificate_goes_with_its_key(bench: Benches) -> None:
    open_card = bench()
    assert open_card.certificate(KeyPurpose.SIGNATURE) == signature_pair().der
    assert open_card.certificate(KeyPurpose.AUTHENTICATION) == authentication_pair().der


@pytest.mark.parametrize(
    "card",
    [SmallCard(wrong_length=True), SmallCard(largest_read=0xE7), SmallCard(largest_read=17)],
    ids=["6Cxx on a short file", "E7 bytes a read", "17 bytes a read"],
)
def test_cards_that_read_otherwise_open_too(card: SmallCard, bench: Benches) -> None:
    assert bench(card).certificate(KeyPurpose.SIGNATURE) == signature_pair().der


def test_a_card_that_wants_exact_lengths_costs_one_apdu_more_for_each_directory_and_none_for_certificates() -> None:
    opened, channel = _open(SmallCard(wrong_length=True))
    assert channel.count() == 10 + 5
    opened.certificates()
    assert channel.count() == 2 * (1 + 9)


@pytest.mark.parametrize("padding", [b"\x00", b"\xff"])
def test_padding_behind_the_records_is_left_out_and_costs_nothing(padding: bytes) -> None:
    content = files()
    padded = {
        path: data + padding * 1000 if path[4:] in ("2F00", "00015031", "00017001", "00017002", "00017005") else data
        for path, data in content.items()
    }
    assert len(_open(SmallCard(padded))[0].certificates()) == 2
    assert len(_open(SmallCard(padded))[1].sent) == 10


def test_paths_relative_to_the_application_are_followed() -> None:
    odf = files()["3F0000015031"].replace(bytes.fromhex("A80A300804063F0000017001"), bytes.fromhex("A806300404027001"))
    assert _open(_with("3F0000015031", odf))[0].info.pin is not None


def test_a_card_left_inside_another_file_is_opened_all_the_same() -> None:
    card = SmallCard()
    card.folder = "3F000001"
    assert _open(card)[0].info.serial == "99213845"


def test_keys_are_told_apart_by_usage_whatever_their_label_says() -> None:
    directory = (
        files()["3F0000017002"].replace(b"CPS_PRIV_SIG", b"CPS_PRIV_XXX").replace(b"CPS_PRIV_AUT", b"SIGNATURE_XX")
    )
    keys = _open(_with("3F0000017002", directory))[0].info.keys
    assert {key.purpose: key.reference for key in keys} == {
        KeyPurpose.SIGNATURE: 0x81,
        KeyPurpose.AUTHENTICATION: 0x82,
    }


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ("3F0000015031", CardRefused),
        ("3F0000017001", CardRefused),
        ("3F0000017002", CardRefused),
        ("3F0000017005", CardRefused),
    ],
)
def test_a_missing_file_is_told(missing: str, error: type[CarddError]) -> None:
    with pytest.raises(error):
        _open(SmallCard({path: data for path, data in files().items() if path != missing}))


def test_a_card_without_serial_number_or_list_of_applications_opens_all_the_same() -> None:
    opened, channel = _open(
        SmallCard({path: data for path, data in files().items() if path[4:] not in ("D003", "2F00")})
    )
    assert (opened.info.serial, opened.info.label, len(opened.certificates())) == ("", "", 2)
    assert channel.count() <= COLD_MAX + 2


def test_a_card_with_only_the_contactless_application_is_incomplete() -> None:
    with pytest.raises(CardIncomplete) as told:
        _open(_with("3F002F00", EF_DIR[:31]))
    assert told.value.params["what"] == "application"


@pytest.mark.parametrize("size", [1, 3, 100, 256, 2000])
def test_a_truncated_certificate_is_refused(size: int) -> None:
    opened, _ = _open(_with("3F000001B0A1", signature_pair().der[:size]))
    with pytest.raises(CardGarbled):
        opened.certificates()


def test_a_certificate_that_claims_to_be_huge_is_refused_at_once() -> None:
    opened, channel = _open(_with("3F000001B0A1", bytes.fromhex("30837FFFFF") + bytes(30000)))
    channel.count()
    with pytest.raises(CardGarbled):
        opened.certificates()
    assert channel.count() <= 13


def test_a_directory_without_an_end_is_refused() -> None:
    with pytest.raises(CardGarbled):
        _open(_with("3F0000017002", files()["3F0000017002"] * 200))


def test_a_card_that_answers_every_read_with_the_same_bytes_is_refused() -> None:
    def echo(command: Command, response: Response) -> Response:
        return Response(bytes.fromhex("A0020500") * 64, 0x9000) if command.ins == 0xB0 else response

    with pytest.raises(CarddError):
        _open(SmallCard(mutate=echo))


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from([path for path in files() if path[-4:] not in ("B0A1", "B0A2")]), data=st.data())
def test_a_damaged_file_never_raises_anything_but_our_errors(path: str, data: st.DataObject) -> None:
    content = bytearray(files()[path])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(content)))
    try:
        opened, _ = _open(_with(path, bytes(content[: size or None])))
        opened.certificates()
    except CarddError:
        return
    assert opened.info.kind is CardKind.CPS3


@settings(max_examples=60, deadline=None)
@given(answers=st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_a_card_that_speaks_garbage_only_raises_our_errors(answers: list[bytes]) -> None:
    turn = iter(range(10**6))
    channel = CountingChannel(lambda _: answers[next(turn) % len(answers)])
    with pytest.raises(CarddError):
        Cps3Driver().open(channel, CardKind.CPS3)
    assert channel.count() < PARTS_MAX + 100  # one answer may come byte by byte, no two of them do
