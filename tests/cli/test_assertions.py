"""``cardctl vihf`` and ``cardctl insi``: assertions at a shell, judged by our independent checker."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardd.cli.parser import Exit
from cardd_simulators.assertions import wrong_in_insi, wrong_in_vihf
from tests.cli.station import Station, User

LPS = ("--lps-name", "LPS SIMULATION", "--lps-homologation", "SIM-0001")
PATIENT = ("--ins", "185059999900181", "--oid", "1.2.250.1.213.1.4.10")


@pytest.fixture
def doctor(user: User) -> User:
    """Somebody who agreed to assertions at the login, in the situation that they pick first."""
    user.ok("login", "--assertions")
    user.ok("vihf", *LPS, "--situation", "1")
    return user


def consents(station: Station) -> int:
    """How often somebody was asked for it."""
    return sum("(INSi)" in shown.description for shown in station.pinentry.shown())


def test_a_vihf_is_written_for_whoever_reads_it_under_the_consent_of_the_login(
    doctor: User, station: Station, tmp_path: Path
) -> None:
    asked = consents(station)
    told = doctor.ok("vihf", *LPS, *PATIENT, "--access", "bris_de_glace")
    assert wrong_in_vihf(told.encode(), "direct", datetime.now(UTC)) == []
    assert 'code="bris_de_glace"' in told
    answer = doctor.run("vihf", *LPS, "--json").json
    assert wrong_in_vihf(base64.b64decode(str(answer["assertion"])), "direct", datetime.now(UTC)) == []
    assert consents(station) == asked


def test_one_that_goes_to_a_file_is_its_user_s_alone(doctor: User, tmp_path: Path) -> None:
    file = tmp_path / "insi.xml"
    file.write_text("before")
    file.chmod(0o644)
    told = doctor.ok("insi", *LPS, "--billing", "991234567", "--specialty", "01", "--output", file)
    assert told == f"{file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert wrong_in_insi(file.read_bytes(), signed=True, doctor=True, now=datetime.now(UTC)) == []


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((*PATIENT[:1], "185059999900182", *PATIENT[2:]), Exit.FAILED, "Wrong key of the INS"),
        (("--ins", "185059999900181"), Exit.USAGE, "--oid"),
        (("--oid", "1.2.250.1.213.1.4.10"), Exit.USAGE, "--ins"),
        (("--access", "curiosity"), Exit.USAGE, "--access"),
    ],
)
def test_what_will_not_do_is_told(doctor: User, arguments: tuple[str, ...], status: Exit, told: str) -> None:
    ran = doctor.run("vihf", *LPS, *arguments)
    assert (ran.status, ran.out) == (status, "")
    assert told in ran.err


def test_of_several_situations_one_must_be_picked(user: User) -> None:
    user.ok("login", "--assertions")
    ran = user.run("vihf", *LPS)
    assert ran.status == Exit.USAGE
    assert "1, 2" in ran.err
    assert "Here: --situation." in ran.err


def test_who_refuses_assertions_at_the_login_has_no_session(user: User, station: Station) -> None:
    user.ok("login")
    user.ok("logout")  # paired; a login that fails would leave the session before it
    station.pinentry.answer(confirm="no")
    assert user.run("login", "--assertions").status == Exit.PERSON
    assert user.run("vihf", *LPS).status == Exit.NO_SESSION
