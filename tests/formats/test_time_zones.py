"""Times are told in UTC, in whatever zone the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cardd.errors import SigningCertificateExpired
from cardd.formats.certificate import facts_of, require_signing
from cardd.formats.saml.checks import instant
from cardd.formats.verified import claimed_time
from tests.rig.pens import Pen

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True, params=["Asia/Tokyo", "America/Cayenne"])
def _elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    "written", ["2026-12-01T12:00:00Z", "2026-12-01T12:00:00", "2026-12-01T13:00:00+01:00", "2026-12-01T09:00:00-03:00"]
)
def test_the_time_that_a_signer_wrote_is_utc_where_no_zone_was_written(written: str) -> None:
    told = claimed_time(written)
    assert (told, told.tzinfo) == (NOON, UTC)


def test_the_time_of_an_assertion_is_utc() -> None:
    assert instant(NOON) == "2026-12-01T12:00:00.000Z"


def test_the_end_of_a_certificate_is_told_in_utc(card: Pen) -> None:
    end = facts_of(card.signer.certificate).not_after
    with pytest.raises(SigningCertificateExpired) as refused:
        require_signing(card.signer, datetime.max.replace(tzinfo=UTC))
    assert refused.value.params == {"not_after": f"{end:%Y-%m-%dT%H:%M:%S}+00:00"}
