"""Who is let into the simulated DMP: TLS, the VIHF, and both of the same holder. Each refusal has its code."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.formats.saml.request import Mode
from tests.rig.assertion_judges import signed_anew
from tests.rig.dmp import Lps, Reply, RunningDmp, card, client_context, organisation, running_dmp
from tests.rig.dmp_messages import envelope, query, retrieve
from tests.rig.saml import Key, card_key, organisation_key

REPORT = "2.25.999100001"
HL7_ROLE = rb"<AttributeValue><Role [^>]*></Role></AttributeValue>"
SOAP = "application/soap+xml"
SPLIT = b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope">%s</e:Envelope>'
WSSE = b"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SECURITY = b'<s:Security xmlns:s="' + WSSE + b'"/>'


def elliptic() -> bytes:
    """A certificate of a key that signs no VIHF, base64."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now := datetime.now(UTC), now + timedelta(1))
    return b64encode(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


ELLIPTIC = elliptic()


def changed(lps: Lps, pattern: bytes, replacement: bytes) -> bytes:
    """A VIHF in which this was changed before the same key signed it."""
    good = lps.vihf()
    bad = re.sub(pattern, replacement, good, count=1)
    assert bad != good
    return signed_anew(bad, lps.pen)


async def get(dmp: RunningDmp, tls: ssl.SSLContext) -> int:
    """The status of a request that sends nothing: 405 for whoever got through TLS."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://localhost:{dmp.port}/simulation/registry", ssl=tls) as response,
    ):
        return response.status


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_card_connects_over_each_version_of_tls(version: ssl.TLSVersion) -> None:
    async with running_dmp() as dmp:
        assert await get(dmp, client_context(card().tls, version)) == 405


@pytest.mark.parametrize("tls", [None, card_key(non_repudiation=False)])
async def test_nobody_connects_without_a_certificate_of_the_authorities(tls: Key | None) -> None:
    async with running_dmp() as dmp:
        with pytest.raises(aiohttp.ClientError):
            await get(dmp, client_context(tls))


async def test_other_authorities_can_be_configured(tmp_path: Path) -> None:
    stranger = card_key(non_repudiation=False)
    (tmp_path / "authorities.pem").write_bytes(stranger.pem)
    async with running_dmp(authorities=str(tmp_path / "authorities.pem")) as dmp:
        assert await get(dmp, client_context(stranger)) == 405
        assert await get(dmp, client_context(card().tls)) == 405


async def refused(lps: Lps, assertion: bytes | None = None) -> Reply:
    """What a query is answered, which must be a fault."""
    async with running_dmp() as dmp:
        reply = await lps.post(dmp, query(), assertion)
    assert reply.status == 500
    return reply


@pytest.mark.parametrize("lps", [card(), organisation(Mode.AIR)], ids=["card", "organisation"])
async def test_the_signature_key_does_not_connect(lps: Lps) -> None:
    async with running_dmp() as dmp:
        with pytest.raises(aiohttp.ClientError):
            await get(dmp, client_context(lps.pen))


async def test_the_authentication_key_for_the_vihf_has_the_dmps_own_code() -> None:
    lps = card()

    reply = await refused(lps, signed_anew(lps.vihf(), lps.tls))

    assert reply.codes == ["DMPInvalidCertificate"]


async def test_the_card_of_somebody_else_does_not_connect_for_a_vihf() -> None:
    reply = await refused(replace(card(), tls=card("infirmier").tls))

    assert reply.codes == ["sim:tls.holder"]


async def test_a_card_does_not_connect_for_an_organisations_vihf() -> None:
    reply = await refused(replace(organisation(Mode.AIR), tls=card().tls))

    assert reply.codes == ["sim:tls.holder"]


async def test_a_vihf_of_an_unknown_authority_is_refused() -> None:
    lps = card()

    reply = await refused(lps, signed_anew(lps.vihf(), card_key()))

    assert "sim:vihf.certificate.chain" in reply.codes


async def test_an_organisation_of_an_unknown_authority_is_refused() -> None:
    lps = organisation(Mode.INDIRECT)

    reply = await refused(lps, signed_anew(lps.vihf(), organisation_key()))

    assert reply.codes == ["sim:vihf.certificate.chain"]


@pytest.mark.parametrize(
    ("pattern", "replacement", "code"),
    [
        (rb'"10" (codeSystem="1.2.250.1.71.1.2.7")', rb'"60" \1', "sim:vihf.role.certificate"),
        (HL7_ROLE + rb"</Attribute>", b"</Attribute>", "sim:vihf.role.second"),
        (rb"185059999900181\^", b"185059999900182^", "sim:vihf.patient.key"),
        (rb"213\.1\.4\.10&", b"213.1.4.2&", "sim:vihf.patient"),
        (rb"GN=CAMILLE", b"GN=AUTRE", "sim:vihf.issuer.subject"),
        (rb"<NameID>899000000010", b"<NameID>899000000028", "sim:vihf.name_id.certificate"),
        (rb"SA07\^1.2.250.1.71.4.2.4", b"SA07", "sim:vihf.Secteur_Activite.value"),
        (rb">499000000010001<", b">X<", "sim:vihf.Identifiant_Structure.value"),
        (rb'code="normal"', b'code="urgence"', "sim:vihf.purpose"),
        (rb">DIRECTE<", b">AUTRE<", "sim:vihf.mode"),
        (rb'IssueInstant="20', b'IssueInstant="21', "sim:vihf.issue_instant.future"),
        (rb'IssueInstant="20', b'IssueInstant="X', "sim:vihf.malformed"),
        (rb' ID="_[0-9a-f]+', b' ID="_0', "sim:vihf.id"),
        (rb'AuthnInstant="[^"]*', b'AuthnInstant="', "sim:vihf.login"),
        (rb'AuthnInstant="20', b'AuthnInstant="21', "sim:vihf.login.future"),
        (rb"1\.2\.250\.1\.213\.1\.1\.4\.248", b"1.2.250.1", "sim:vihf.purpose.system"),
        (rb"mode acces VIHF 2.0", b"mode", "sim:vihf.purpose.system_name"),
        (rb'(codeSystemName="professions" displayName=")[^"]*', rb"\1", "sim:vihf.role.words"),
    ],
)  # fmt: skip
async def test_a_vihf_against_a_rule_is_refused(pattern: bytes, replacement: bytes, code: str) -> None:
    lps = card()

    reply = await refused(lps, changed(lps, pattern, replacement))

    assert code in reply.codes


async def test_a_secret_connection_has_the_code_that_makers_know_or_the_one_that_is_set() -> None:
    secret = card(is_secret=True)
    other = replace(secret, secret_code="AUTRE")
    async with running_dmp() as dmp:
        assert (await secret.post(dmp, query())).status == 200
        assert (await other.post(dmp, query())).codes == ["sim:vihf.secret"]
    async with running_dmp(secret="AUTRE") as dmp:
        assert (await other.post(dmp, query())).status == 200


async def test_a_forged_signature_is_refused() -> None:
    lps = card()

    reply = await refused(lps, lps.vihf().replace(b"SA07^", b"SA08^"))

    assert reply.codes == ["sim:vihf.signature.digest"]


async def test_a_comment_that_cuts_a_value_is_refused() -> None:
    lps = organisation(Mode.AIR)

    reply = await refused(lps, lps.vihf().replace(b">899000000010<", b">8990000<!-- -->00010<"))

    assert reply.codes == ["sim:vihf.comment"]


@pytest.mark.parametrize(
    ("pattern", "replacement", "code"),
    [
        (rb"(<Issuer.*?</Issuer>)(.*?</Signature>)", rb"\2\1", "sim:vihf.signature.place"),
        (rb"<Subject>", b'<x xmlns="relative"/><Subject>', "sim:vihf.malformed"),
        (rb"(<X509Certificate>).*?<", rb"\1AAAA<", "sim:vihf.malformed"),
        (rb"(<SignatureValue>).*?<", rb"\1A<", "sim:vihf.malformed"),
        (rb"xmldsig#enveloped-signature", b"xmldsig#base64", "sim:vihf.signature.transforms"),
        (rb"(<CanonicalizationMethod Algorithm=\")[^\"]*", rb"\1urn:x", "sim:vihf.signature.canonicalization"),
        (rb"(<X509Certificate>).*?<", rb"\1" + ELLIPTIC + b"<", "sim:vihf.signature.key"),
        (rb"<Signature .*</Signature>", b"", "sim:vihf.signature.certificate"),
    ],
)
async def test_a_vihf_that_was_taken_apart_is_refused(pattern: bytes, replacement: bytes, code: str) -> None:
    lps = card()
    good = lps.vihf()
    bad = re.sub(pattern, replacement, good, count=1, flags=re.DOTALL)
    assert bad != good

    assert code in (await refused(lps, bad)).codes


async def test_a_message_without_a_vihf_is_refused() -> None:
    assert (await refused(card(), b"")).codes == ["sim:vihf.missing"]


async def test_a_vihf_hidden_behind_another_is_refused() -> None:
    lps = card()
    hidden = b'<x xmlns="urn:x">' + lps.vihf() + b"</x>"

    async with running_dmp() as dmp:
        message = envelope(f"{query()}", lps.vihf()).replace(b"</wsse:Security>", b"</wsse:Security>" + hidden)
        reply = await lps.send(dmp, message, SOAP)

    assert "sim:vihf.assertion.count" in reply.codes


async def test_air_older_than_thirty_seconds_is_refused() -> None:
    lps = organisation(Mode.AIR)

    reply = await refused(lps, lps.vihf(datetime.now(UTC) - timedelta(seconds=31)))

    assert "sim:vihf.air.old" in reply.codes


async def test_air_serves_once() -> None:
    lps = organisation(Mode.AIR)
    once = lps.vihf()
    async with running_dmp() as dmp:
        first = await lps.post(dmp, retrieve(REPORT), once)
        second = await lps.post(dmp, retrieve(REPORT), once)

    assert first.status == 200
    assert second.codes == ["sim:vihf.air.used"]


async def test_a_vihf_of_the_card_serves_again_until_its_lifetime_ends_where_one_is_set() -> None:
    lps = card()
    old = lps.vihf(datetime.now(UTC) - timedelta(minutes=10))
    async with running_dmp() as dmp:
        assert [(await lps.post(dmp, query(), old)).status for _ in range(2)] == [200, 200]
    async with running_dmp(lifetime="300") as dmp:
        assert (await lps.post(dmp, query(), old)).codes == ["sim:vihf.old"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"not XML", "sim:soap.malformed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "sim:soap.doctype"),
        (b"<a/>", "sim:soap.body"),
        (SPLIT % b"<e:Header/><e:Header/><e:Body><a/></e:Body>", "sim:soap.header"),
        (SPLIT % b"<e:Body><a/></e:Body><e:Header/>", "sim:soap.header"),
        (SPLIT % b"<e:Header/><e:Body><a/></e:Body><e:Body/>", "sim:soap.body"),
        (SPLIT % b"<e:Header/><e:Body><a/></e:Body><b/>", "sim:soap.body"),
        (SPLIT % (b"<e:Header>" + 2 * SECURITY + b"</e:Header><e:Body><a/></e:Body>"), "sim:soap.security"),
    ],
)
async def test_what_is_no_soap_is_refused(message: bytes, code: str) -> None:
    async with running_dmp() as dmp:
        reply = await card().send(dmp, message, SOAP)

    assert reply.codes == [code]
