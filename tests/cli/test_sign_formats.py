"""``cardctl sign --format``: files in, signed files out, judged from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Station
from tests.cli.station import User
from tests.rig import jose
from tests.rig.openssl import accepts_cms
from tests.rig.pdf import pdf, pdfsig, words_of
from tests.rig.pens import card_pen


@pytest.fixture
def professional(station: Station, login: Path) -> User:
    station.pinentry.answer(confirm="yes")
    return User(login, station.daemon)


def test_a_pdf_is_signed_beside_it_and_visibly(professional: User, tmp_path: Path) -> None:
    (tmp_path / "compte-rendu.pdf").write_bytes(pdf())
    told = professional.ok("sign", tmp_path / "compte-rendu.pdf", "--format", "pades", "--visible", "40,40,260,120")
    signed = tmp_path / "compte-rendu.signed.pdf"
    assert str(signed) in told
    assert [judged.is_valid for judged in pdfsig(signed)] == [True]
    assert "SIMULATION-MEDECIN" in words_of(signed)


def test_several_files_are_signed_in_one_format_under_one_consent(
    professional: User, station: Station, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for file in files:
        file.write_text(f"compte rendu SIMULATION {file.name}")
    before = len(station.pinentry.shown())
    professional.ok("sign", *files, "--format", "cades")
    assert len(station.pinentry.shown()) == before + 1
    for file in files:
        signed = file.with_name(file.name + ".p7m")
        assert accepts_cms(signed, card_pen().roots)
        assert signed.with_suffix(".content").read_bytes() == file.read_bytes()


def test_a_detached_signature_stands_beside_its_document(professional: User, tmp_path: Path) -> None:
    file = tmp_path / "document.bin"
    file.write_bytes(b"SIMULATION" * 1000)
    professional.ok("sign", file, "--format", "cades", "--detached")
    assert accepts_cms(tmp_path / "document.bin.p7s", card_pen().roots, file)


@pytest.mark.skipif(not jose.is_installed(), reason="npm's jose is not installed")
def test_a_jws_goes_where_it_is_told(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    professional.ok("sign", tmp_path / "a.json", "--format", "jws", "--output", tmp_path / "signed")
    assert jose.judge((tmp_path / "signed").read_bytes(), "RS256")["payload"] == b"{}"


def test_what_belongs_to_another_format_is_refused(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for wrong in (("--timestamp",), ("--visible", "1,2,3,4"), ("--format", "pades", "--page", "1")):
        assert professional.run("sign", tmp_path / "a.txt", *wrong).status == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.txt"]


def test_a_document_that_cannot_be_signed_leaves_nothing_behind(professional: User, tmp_path: Path) -> None:
    (tmp_path / "no.pdf").write_text("this is no PDF")
    ran = professional.run("sign", tmp_path / "no.pdf", "--format", "pades")
    assert ran.status == 1
    assert "PDF" in ran.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["no.pdf"]
