"""One-time codes against the vectors that RFC 6238 publishes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from cardd.core import totp
from cardd.errors import SupportSecretUnreadable
from cardd.secret import Secret
from tests.rig.phone import Phone, one_time_code

# RFC 6238, appendix B, the rows of SHA-1: seconds since 1970, eight digits
KEY = b"12345678901234567890"
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


def secret() -> Secret:
    return Secret.of(base64.b32encode(KEY))


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_the_codes_are_those_of_the_rfc(seconds: int, digits: str) -> None:
    when = datetime.fromtimestamp(seconds, UTC)
    assert one_time_code(KEY, seconds // 30, 8) == digits
    assert totp.step_of(secret(), digits[2:], when) == seconds // 30


@pytest.mark.parametrize("late", [-60, -30, 0, 30, 60])
def test_a_clock_may_be_wrong_by_one_step(late: int) -> None:
    seconds, digits = VECTORS[3]
    found = totp.step_of(secret(), digits[2:], datetime.fromtimestamp(seconds // 30 * 30 + late, UTC))
    assert found == (seconds // 30 if abs(late) <= 30 else None)


@pytest.mark.parametrize("code", ["", "89005924", "00592", "005924x", "005924\0", "+05924", "é05924", "9" * 100_000])
def test_what_is_no_code_is_none(code: str) -> None:
    assert totp.step_of(secret(), code, datetime.fromtimestamp(VECTORS[3][0], UTC)) is None


def test_digits_in_two_groups_are_the_same_code() -> None:
    when = datetime.fromtimestamp(VECTORS[3][0], UTC)
    assert totp.step_of(secret(), " 005 924 ", when) == VECTORS[3][0] // 30


def test_the_address_gives_the_phone_the_same_codes() -> None:
    made = totp.new_secret()
    phone = Phone(totp.address(made, "poste été/2"))
    assert phone.label == "cardd:poste été/2"
    assert len(base64.b32decode(phone.secret)) == 20
    now = datetime.now(UTC)
    assert totp.step_of(made, phone.code(now), now + timedelta(seconds=1)) == int(now.timestamp()) // 30


def test_no_two_secrets_are_the_same() -> None:
    assert len({Phone(totp.address(totp.new_secret(), "x")).secret for _ in range(50)}) == 50


@pytest.mark.parametrize("text", [b"", b"not base32!", b"JBSWY3DPEHPK3PXP", b"\xff\xfe" * 16])
def test_a_secret_that_is_none_is_told(text: bytes) -> None:
    with pytest.raises(SupportSecretUnreadable):
        totp.step_of(Secret.of(text), "123456", datetime.now(UTC))


def test_a_secret_may_be_written_in_groups_and_small_letters() -> None:
    text = base64.b32encode(KEY).lower()
    grouped = Secret.of(b" ".join(text[start : start + 4] for start in range(0, len(text), 4)))
    seconds, digits = VECTORS[1]
    assert totp.step_of(grouped, digits[2:], datetime.fromtimestamp(seconds, UTC)) == seconds // 30
