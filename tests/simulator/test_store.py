"""Where simulated cards keep their keys."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cardd_simulators.cards.profiles import PROFILES
from cardd_simulators.cards.store import Store, default_directory
from tests.rig.simulator import STATE, issue, store

MEDECIN = PROFILES["medecin"]


@pytest.fixture
def copied(tmp_path: Path) -> Store:
    """The tests' PKI in a place of its own."""
    issue()
    shutil.copytree(STATE, tmp_path / "simulation")
    return Store(tmp_path / "simulation")


def test_a_card_is_made_once_and_found_again(copied: Store) -> None:
    first, again = copied.issue(MEDECIN, 4), Store(copied.directory).issue(MEDECIN, 4)
    assert first.serial == again.serial
    assert first.signature.certificate == again.signature.certificate


def test_a_card_made_anew_has_another_serial_number(copied: Store) -> None:
    before = copied.issue(MEDECIN, 4)
    shutil.rmtree(copied.directory / "medecin-4")
    after = copied.issue(MEDECIN, 4)
    assert after.serial != before.serial
    assert after.signature.certificate.issuer == before.signature.certificate.issuer


def test_cards_of_different_profiles_have_different_serial_numbers() -> None:
    serials = {issue(profile).serial for profile in PROFILES}
    assert len(serials) == len(PROFILES)
    assert all(len(serial) == 8 and serial.startswith("99") for serial in serials)


def test_nobody_else_can_read_the_keys(copied: Store) -> None:
    copied.directory.chmod(0o755)
    shutil.rmtree(copied.directory / "medecin-4")
    copied.issue(MEDECIN, 4)
    assert copied.directory.stat().st_mode & 0o777 == 0o700
    for path in (copied.directory / "medecin-4").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_the_cache_stands_where_the_user_wants_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "cardd" / "simulation"


def test_a_cps4_is_valid_for_six_years_and_a_cps3_for_three() -> None:
    def years(generation: str) -> float:
        certificate = store().issue(PROFILES["medecin"], 4, generation).signature.certificate
        return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days / 365

    assert (years("cps3"), years("cps4")) == (3, 6)
