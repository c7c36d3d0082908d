"""What a command line refuses by itself, before it asks anybody anything."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from cardd.cli.doctor.surroundings import Surroundings, unit_properties
from cardd.cli.parser import Exit
from cardd.cli.terminal import Terminal, large_digits, width
from cardd.config import Config
from tests.cli.station import User


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        (("sign", "a.txt", "b.txt", "--output", "c.txt"), Exit.USAGE, "--output"),
        (("sign", "a.pdf", "--format", "pades", "--visible", "1,2,3"), Exit.USAGE, "--visible"),
        (("simulate", "cps3", "approve"), Exit.USAGE, "approve"),
        (("simulate", "psc", "--set", "payload"), Exit.USAGE, "NAME=VALUE"),
        (("support", "enrol", "--credential", "new.cred"), Exit.PERSON, "Support code needed"),
        (("status",), Exit.UNREACHABLE, "systemctl start cardd.socket"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_told_with_what_to_write(
    stranger: User, given: tuple[str, ...], status: Exit, told: str
) -> None:
    ran = stranger.run(*given)
    assert (ran.status, told in ran.err) == (status, True), ran.err


@pytest.mark.parametrize("given", [("--family-name", "SIMULATION"), ("--national-id", "899700000001")], ids=str)
def test_a_professional_who_is_named_by_halves_logs_nobody_in(user: User, given: tuple[str, str]) -> None:
    ran = user.run("login", "--method", "csa", *given)
    assert ran.status == Exit.USAGE
    assert ("--national-id" in ran.err) is ("--national-id" not in given)


def test_a_confirmation_without_a_code_is_asked_of_nobody_without_a_terminal(user: User) -> None:
    assert "Support code needed" in user.run("support", "confirm").err


def test_what_somebody_wrote_into_the_remembered_session_is_no_session(user: User) -> None:
    user.ok("login")
    kept = [path for path in user.home.rglob("*") if path.is_file() and b'"token"' in path.read_bytes()]
    assert kept
    for path in kept:
        path.write_text("{")
    assert user.run("logout").status == Exit.NO_SESSION


def test_a_terminal_without_the_letters_shows_what_it_can() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", write_through=True)
    Terminal(stream).say(["Camille Médecin"])
    assert raw.getvalue() == b"Camille M?decin\n"
    assert large_digits("42", "ascii") == []
    assert large_digits("42", "utf-8") != []
    assert (width("e\u0301"), width("漢")) == (1, 2)


SHOWN = "LoadState=loaded\nActiveState=inactive\nIPAddressDeny=::/0\n\nLoadState=loaded\nActiveState=active\n"
FOUND = {"LoadState": "loaded", "ActiveState": "inactive", "IPAddressDeny": "::/0", "SocketState": "active"}


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (f"printf '{SHOWN}'", FOUND),
        ("echo ActiveState=inactive", None),
        ("exit 1", None),
        (None, None),
    ],
)
def test_systemd_is_believed_of_a_service_and_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, found: dict[str, str] | None
) -> None:
    if script is not None:
        (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin" if script else str(tmp_path))
    assert unit_properties("cardd") == found


def test_a_doctor_with_a_configuration_that_cannot_be_used_looks_with_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "cardd.toml").write_text("[nothing]")
    assert Surroundings(config_file=tmp_path / "cardd.toml").config == Config()
