"""``cardctl verify``: for somebody without the daemon, without a card, and often without a network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.cli.parser import Exit
from cardd.documents.requests import ToVerify
from cardd.documents.verification import Anchors, Verifier
from cardd.formats.cades import prepare_cades
from cardd.formats.jws import prepare_jws
from cardd.formats.options import JwsOptions
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.raw import prepare_raw
from cardd.formats.xades import prepare_xades
from cardd.model import Algorithm
from cardd.system.host import SystemClock
from cardd.system.outgoing import RevocationCache, RevocationHttp
from tests.cli.station import Ran, User
from tests.rig import no_file
from tests.rig.pdf import pdf
from tests.rig.pens import Pen, SmallAuthority, card_pen
from tests.rig.revoking import Served, revocation_list
from tests.rig.simulator import STATE

DOCUMENT = b"compte rendu SIMULATION\n"
DAY = timedelta(days=1)


@pytest.fixture
def root() -> SmallAuthority:
    root = SmallAuthority("AC RACINE SIMULATION")
    root.lists = ["http://crl.simulation.invalid/list"]
    return root


@pytest.fixture
def pen(root: SmallAuthority) -> Pen:
    return root.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)


@pytest.fixture
def authorities(root: SmallAuthority, tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_bytes(root.pem)
    return path


def cades(pen: Pen, path: Path, *, detached: bool = False) -> Path:
    path.write_bytes(pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), detached=detached)))
    return path


def codes(ran: Ran) -> list[object]:
    (one,) = ran.rows("signatures")
    reasons = one["reasons"]
    assert isinstance(reasons, list)
    return [reason["code"] for reason in reasons]


@pytest.mark.parametrize("revoked", [False, True])
async def test_what_was_answered_before_serves_offline(
    stranger: User, root: SmallAuthority, authorities: Path, tmp_path: Path, revoked: bool
) -> None:
    """An earlier verification left the answer in the user's own cache."""
    status, word = (Exit.FAILED, "NOT valid") if revoked else (Exit.OK, "VALID")
    async with Served() as served:
        root.lists = [served.url("list")]
        pen = root.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)
        since = {pen.signer.certificate: datetime.now(UTC) - DAY} if revoked else {}
        served.answers["list"] = revocation_list(root, since)
        signed = cades(pen, tmp_path / "signed.p7m")
        network, kept = RevocationHttp(is_local=True), RevocationCache(stranger.home / "cache" / "cardd" / "revocation")
        with signed.open("rb") as document:
            verifier = Verifier(Anchors(authorities), network, kept, PdfProcess(), SystemClock())
            await verifier.verify(ToVerify(document))
        await network.close()
    told = stranger.run("verify", signed, "--authorities", authorities, "--offline")
    assert (told.status, told.err) == (status, "")
    assert word in told.out
    assert "PERSONNE SIMULATION" in told.out
    assert f"(CRL {datetime.now(UTC):%Y-}" in told.out


def test_without_word_on_revocation_it_is_undetermined(
    stranger: User, pen: Pen, authorities: Path, tmp_path: Path
) -> None:
    signed = cades(pen, tmp_path / "signed.p7m")
    told = stranger.run("verify", signed, "--authorities", authorities, "--offline")
    assert told.status == Exit.UNDETERMINED
    assert "offline" in told.out
    assert "AC RACINE SIMULATION" in told.out
    french = User(stranger.home, locale="fr_FR.UTF-8").run("verify", signed, "--authorities", authorities, "--offline")
    assert french.status == Exit.UNDETERMINED
    assert "hors ligne" in french.out
    ran = stranger.run("verify", signed, "--json")
    assert (ran.status, ran.json["verdict"], codes(ran)) == (Exit.UNDETERMINED, "undetermined", ["untrusted"])


def _jws(pen: Pen) -> bytes:
    return pen.write(prepare_jws(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), JwsOptions(detached=True)))


def _cades(pen: Pen) -> bytes:
    return pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), detached=True))


@pytest.mark.parametrize("sign", [_jws, _cades])
@pytest.mark.parametrize("way", ["content", "signature", "beside", "named"])
def test_a_detached_signature_is_given_with_its_document_in_either_order(
    stranger: User, pen: Pen, tmp_path: Path, sign: Callable[[Pen], bytes], way: str
) -> None:
    document, signature = tmp_path / "document", tmp_path / "document.sig"
    document.write_bytes(DOCUMENT)
    signature.write_bytes(sign(pen))
    arguments = {
        "content": (signature, "--content", document),
        "signature": (document, "--signature", signature),
        "beside": (document,),
        "named": (signature,),
    }[way]
    ran = stranger.run("verify", *arguments, "--json")
    assert (ran.status, codes(ran)) == (Exit.UNDETERMINED, ["untrusted"])
    assert ran.rows("signatures")[0]["scope"] == "detached"
    document.write_bytes(DOCUMENT + b".")
    assert stranger.run("verify", *arguments).status == Exit.FAILED


def test_a_raw_signature_has_its_certificate_beside_it(
    stranger: User, pen: Pen, root: SmallAuthority, tmp_path: Path
) -> None:
    document, value = tmp_path / "document", tmp_path / "document.sig"
    document.write_bytes(DOCUMENT)
    value.write_bytes(pen.write(prepare_raw(BytesIO(DOCUMENT), None)))
    (tmp_path / "der").write_bytes(pen.signer.certificate)
    ran = stranger.run("verify", document, "--certificate", tmp_path / "der", "--json")
    assert (ran.status, ran.rows("signatures")[0]["format"], codes(ran)) == (7, "raw", ["untrusted"])
    (tmp_path / "document.pem").write_bytes(root.pem)  # another's
    ran = stranger.run("verify", document, "--json")
    assert (ran.status, codes(ran)[0]) == (Exit.FAILED, "flaw_signature")


def test_a_signed_file_in_xml_may_be_changed_and_is_found_out(stranger: User, pen: Pen, tmp_path: Path) -> None:
    signed = tmp_path / "signed.xml"
    signed.write_bytes(pen.write(prepare_xades(BytesIO(b"<dose>1</dose>"), pen.signer, datetime.now(UTC))))
    assert stranger.run("verify", signed).status == Exit.UNDETERMINED
    signed.write_bytes(signed.read_bytes().replace(b"<dose>1", b"<dose>9"))
    told = stranger.run("verify", signed)
    assert told.status == Exit.FAILED
    assert "it was changed" in told.out


def test_a_signature_that_is_found_beside_hides_no_broken_one_inside(stranger: User, pen: Pen, tmp_path: Path) -> None:
    """Whoever may write beside the file signs what they made of it."""
    signed, beside = tmp_path / "signed.xml", tmp_path / "signed.xml.p7s"
    document = pen.write(prepare_xades(BytesIO(b"<dose>1</dose>"), pen.signer, datetime.now(UTC)))
    for content, status, reasons in (
        (document, Exit.UNDETERMINED, ["untrusted"]),
        (document.replace(b"<dose>1", b"<dose>9"), Exit.FAILED, ["flaw_content", "untrusted"]),
    ):
        signed.write_bytes(content)
        prepared = prepare_cades(BytesIO(content), pen.signer, datetime.now(UTC), detached=True)
        beside.write_bytes(pen.write(prepared))
        for named in (signed, beside):
            ran = stranger.run("verify", named, "--json")
            told = [(one["format"], [reason["code"] for reason in one["reasons"]]) for one in ran.rows("signatures")]  # type: ignore[attr-defined]
            assert (ran.status, told) == (status, [("cades", ["untrusted"]), ("xades", reasons)])
        assert stranger.run("verify", signed, "--signature", beside).status == Exit.UNDETERMINED


def test_a_pdf_without_signature_is_not_valid(stranger: User, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf())
    told = stranger.run("verify", tmp_path / "a.pdf")
    assert told.status == Exit.FAILED
    assert "no signature" in told.out


def test_what_cannot_be_verified_is_told(stranger: User, pen: Pen, tmp_path: Path) -> None:
    plain, other = tmp_path / "plain.txt", tmp_path / "none"
    plain.write_bytes(DOCUMENT)
    for arguments, status in (
        ((plain,), Exit.FAILED),
        ((other,), Exit.FAILED),
        ((cades(pen, tmp_path / "a"), "--authorities", other), Exit.FAILED),
        ((cades(pen, tmp_path / "a"), "--authorities", plain), Exit.FAILED),
        ((plain, "--content", plain, "--signature", cades(pen, tmp_path / "a")), Exit.USAGE),
        ((plain, "--certificate", cades(pen, tmp_path / "a")), Exit.USAGE),
    ):
        told = stranger.run("verify", *arguments)
        assert (told.status, told.out) == (status, ""), arguments
        assert told.err, arguments


def test_a_pipe_is_no_file_to_verify_and_nobody_is_waited_for(stranger: User, pen: Pen, tmp_path: Path) -> None:
    signed = cades(pen, tmp_path / "signed.p7m")
    with no_file.made("pipe", tmp_path / "pipe") as pipe, no_file.made("device", tmp_path / "device") as device:
        for arguments in ((pipe,), (device,), (signed, "--content", pipe), (signed, "--authorities", pipe)):
            told = stranger.run("verify", *arguments)
            assert (told.status, told.out) == (Exit.FAILED, ""), arguments
            assert "it is no file, but a pipe, a socket or a device" in told.err, arguments
        told = stranger.run("config", "check", "--config", pipe, "--lang", "fr")
    assert told.status == Exit.FAILED
    assert "ce n'est pas un fichier" in told.err


def test_the_configuration_names_the_authorities(stranger: User, pen: Pen, authorities: Path, tmp_path: Path) -> None:
    config = tmp_path / "cardd.toml"
    config.write_text(f'[trust]\nauthorities = "{authorities}"\nrevocation = "offline"\n')
    ran = stranger.run("verify", cades(pen, tmp_path / "signed.p7m"), "--config", config, "--json")
    assert (ran.status, codes(ran)) == (Exit.UNDETERMINED, ["revocation_offline"])


def test_what_a_simulated_card_signs_is_valid_where_its_authorities_are_asked_for(
    stranger: User, tmp_path: Path
) -> None:
    cache = stranger.home / "cache" / "cardd"
    cache.mkdir(parents=True)
    (cache / "simulation").symlink_to(STATE)  # where the signer's authorities are kept
    card = card_pen()
    signed = tmp_path / "signed.p7m"
    signed.write_bytes(card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, datetime.now(UTC))))
    ran = stranger.run("verify", signed, "--authorities", "simulation", "--json")
    assert (ran.status, ran.json["verdict"], codes(ran)) == (Exit.OK, "valid", ["test"])
