"""``cardctl sign --format``: files in, signed files out, judged from outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from cardd.cli.parser import Exit
from tests.cli.station import Station, User
from tests.rig import jose, no_file, xml_judges
from tests.rig.lps import Json
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


@pytest.mark.parametrize(
    ("options", "kind"), [((), "enveloped"), (("--detached",), "detached")], ids=["enveloped", "detached"]
)
def test_an_xml_document_is_signed_with_the_signature_in_it_or_beside_it(
    professional: User, tmp_path: Path, options: tuple[str, ...], kind: str
) -> None:
    file = tmp_path / "ordonnance.xml"
    file.write_text("<ordonnance>SIMULATION</ordonnance>")
    [signed] = professional.run("sign", file, "--format", "xades", "--json", *options).rows("signed")
    content = Path(str(signed["signature"])).read_text()
    assert ("<ordonnance>" in content) is (kind == "enveloped")
    beside = ("--content", file) if kind == "detached" else ()
    verified = professional.run("verify", str(signed["signature"]), *beside, "--offline")
    assert (verified.status, "SIMULATION-MEDECIN" in verified.out) == (Exit.UNDETERMINED, True), (
        "nobody is trusted here"
    )


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


@pytest.mark.parametrize("form", ["raw", "cades"])
def test_a_file_whose_name_is_no_utf_8_is_signed(professional: User, tmp_path: Path, form: str) -> None:
    file = tmp_path / os.fsdecode("ordonnance-Ren\xe9.txt".encode("latin-1"))
    file.write_text("SIMULATION")
    professional.ok("sign", file, "--format", form)
    assert any(found != file and found.name.startswith("ordonnance") for found in tmp_path.iterdir())


def test_what_was_not_signed_does_not_stay_with_the_session(
    professional: User, station: Station, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(33)]
    for file in files:
        file.write_text("SIMULATION")
    station.pinentry.answer(confirm="cancel")
    for _ in range(2):  # a session holds 64
        told = professional.run("sign", *files, "--format", "cades")
        assert told.status == Exit.PERSON


def test_a_detached_signature_stands_beside_its_document(professional: User, tmp_path: Path) -> None:
    file = tmp_path / "document.bin"
    file.write_bytes(b"SIMULATION" * 1000)
    professional.ok("sign", file, "--format", "cades", "--detached")
    assert accepts_cms(tmp_path / "document.bin.p7s", card_pen().roots, file)


def test_a_signature_is_found_and_judged_whatever_certificate_stands_beside_it(
    professional: User, tmp_path: Path
) -> None:
    file = tmp_path / "document.txt"
    file.write_text("SIMULATION")
    professional.ok("sign", file, "--format", "cades", "--detached", "--certificate")
    assert (tmp_path / "document.txt.pem").exists()
    (found,) = professional.run("verify", file, "--json").rows("signatures")
    assert (found["format"], found["intact"]) == ("cades", True)


@pytest.mark.skipif(not jose.is_installed(), reason="npm's jose is not installed")
def test_a_jws_goes_where_it_is_told(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    professional.ok("sign", tmp_path / "a.json", "--format", "jws", "--output", tmp_path / "signed")
    assert jose.judge((tmp_path / "signed").read_bytes(), "RS256")["payload"] == b"{}"


def test_a_submission_set_is_signed_and_judged_with_its_documents(professional: User, tmp_path: Path) -> None:
    cda, report = tmp_path / "cda.xml", tmp_path / "compte-rendu.pdf"
    cda.write_text("<!-- SIMULATION --><ClinicalDocument b='2' a='1'/>")
    report.write_bytes(pdf())
    documents = (f"2.25.9101={cda}", f"2.25.9102={report}")
    professional.ok("sign", "--format", "submission_set", "--set", "2.25.9100", *documents)
    signed = tmp_path / "2.25.9100.xades.xml"
    assert xml_judges.xmlsec_accepts(signed, card_pen().roots, "--ignore-manifests")
    cda.write_text('<!-- SIMULATION --><ClinicalDocument a="1" b="2"></ClinicalDocument>')  # written another way
    given = [part for one in documents for part in ("--document", one)]
    (found,) = professional.run("verify", signed, *given, "--json").rows("signatures")
    of_set = {"unique_id": "2.25.9100", "documents": ["2.25.9101", "2.25.9102"], "changed": []}
    assert (found["intact"], found["submission_set"]) == (True, of_set)
    report.write_bytes(pdf(pages=2))
    told = professional.run("verify", signed, *given)
    assert (told.status, "CHANGED" in told.out) == (Exit.FAILED, True)


def test_a_set_that_is_not_named_as_it_must_is_refused(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<a/>")
    one = f"2.25.1={tmp_path / 'a.xml'}"
    for wrong in (
        (one,),
        ("--set", "2.25.9", tmp_path / "a.xml"),
        ("--set", "2.25.9", one, one),
        ("--set", "../a", one),
    ):
        assert professional.run("sign", "--format", "submission_set", *wrong).status == Exit.USAGE
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.xml"]


def test_an_algorithm_that_the_card_cannot_is_told(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    professional.ok("sign", tmp_path / "a.txt", "--algorithm", "RS256")
    told = professional.run("sign", tmp_path / "a.txt", "--algorithm", "PS256")
    assert (told.status, "(PS256)" in told.err) == (Exit.CARD, True)


def test_what_belongs_to_another_format_is_refused(professional: User, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for wrong in (("--timestamp",), ("--visible", "1,2,3,4"), ("--format", "pades", "--page", "1")):
        assert professional.run("sign", tmp_path / "a.txt", *wrong).status == Exit.USAGE
    french = User(professional.home, professional.daemon, locale="fr_FR.UTF-8")
    assert "n'est pas de ce format" in french.run("sign", tmp_path / "a.txt", "--timestamp").err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.txt"]


def test_a_document_that_cannot_be_signed_leaves_nothing_behind(professional: User, tmp_path: Path) -> None:
    (tmp_path / "no.pdf").write_text("this is no PDF")
    ran = professional.run("sign", tmp_path / "no.pdf", "--format", "pades")
    assert ran.status == 1
    assert "PDF" in ran.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["no.pdf"]


@pytest.mark.parametrize("form", ["raw", "pades"])
def test_a_pipe_is_no_file_to_sign_and_nobody_is_waited_for(professional: User, tmp_path: Path, form: str) -> None:
    with no_file.made("pipe", tmp_path / "pipe") as pipe:
        told = professional.run("sign", pipe, "--format", form)
    assert (told.status, told.out) == (Exit.FAILED, "")
    assert f"{pipe}: it is no file, but a pipe" in told.err


def test_more_files_than_one_consent_covers_are_signed_in_several_batches_and_that_is_said(
    professional: User, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number:02}.txt" for number in range(52)]
    for file in files:
        file.write_text(f"compte rendu SIMULATION {file.name}")
    ran = professional.run("sign", *files, "--format", "raw", "--json")
    assert ran.status == Exit.OK, ran.err
    assert "One consent covers 50 of the 52 files at most: you are asked 2 times." in ran.err
    assert [one["file"] for one in ran.rows("signed")] == list(map(str, files))
    assert all(file.with_name(f"{file.name}.sig").exists() for file in files)


def test_what_was_signed_before_a_batch_is_refused_is_told(
    professional: User, station: Station, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number:02}.txt" for number in range(33)]
    for file in files:
        file.write_text("compte rendu SIMULATION")
    station.pinentry.answer("yes", "cancel")
    ran = professional.run("sign", *files, "--format", "cades", "--json")
    assert ran.status == Exit.PERSON
    assert (len(ran.rows("signed")), "32 of 33 files are signed." in ran.err) == (32, True)
    assert cast(Json, ran.json["error"])["code"] == "consent.refused"


@pytest.mark.parametrize(("language", "said"), [("en", "it has characters that cannot be seen"), ("fr", "« le nom")])
def test_a_name_that_shows_less_than_it_is_is_told_by_the_file_and_not_by_a_field(
    professional: User, tmp_path: Path, language: str, said: str
) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b\N{ZERO WIDTH SPACE}.txt"]
    for file in files:
        file.write_text("compte rendu SIMULATION")
    ran = professional.run("sign", *files, "--lang", language)
    assert ran.status == Exit.USAGE
    assert said in ran.err
    assert f"{tmp_path}/b" in ran.err
    assert "$." not in ran.err
    assert "signatures[" not in ran.err
