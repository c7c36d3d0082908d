"""What programs see of the cards without a login: slots, tokens, certificates and public keys."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from cryptography import x509

from cardd.config import Psc
from cardd.core.session import SessionState
from cardd.identity.ecps.login import Request
from cardd.identity.ecps.provider import Wanted
from cardd.model import Caller, CallerKind, Peer
from tests.p11.client import ulong
from tests.p11.inside import Inside
from tests.p11.programs import MODULES, Desk, needs
from tests.rig.memory import MemorySecrets, RunningClock
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import Authority
from tests.rig.oidc.provider import SECRET
from tests.rig.other_user import UID, needs_root, open_to_everybody
from tests.rig.simulator import store
from tests.rig.waiting import eventually


def test_opensc_lists_slots_and_the_card(shared: Desk) -> None:
    said = shared.pkcs11_tool("-L")

    assert re.findall(r"Slot (\d) \((0x\d)\): (.*)", said) == [
        ("0", "0x1", "Virtual 0 00 00"),
        ("1", "0x2", "Virtual 0 00 01"),
        ("2", "0x3", "cardd 3"),
        ("3", "0x4", "cardd 4"),
    ]
    assert "token label        : CPS CAMILLE SIMULATION-MEDECIN" in said
    assert "PIN pad present" in said
    assert "login required" not in said


def test_opensc_lists_the_objects_of_both_keys(shared: Desk) -> None:
    said = shared.pkcs11_tool("-O")

    assert [line for line in said.splitlines() if line.startswith(("Cert", "Pub", "Priv"))] == [
        *("Certificate Object; type = X.509 cert", "Public Key Object; RSA 2048 bits", "Private Key Object; RSA "),
        *("Certificate Object; type = X.509 cert", "Public Key Object; RSA 2048 bits", "Private Key Object; RSA "),
    ]
    assert said.index("CPS_PRIV_AUT") < said.index("CPS_PRIV_SIG")
    assert said.count("sensitive, always sensitive, never extractable") == 2


def test_gnutls_lists_tokens_and_objects(shared: Desk) -> None:
    needs("p11tool")
    tokens = shared.says("p11tool", "--provider", MODULES[0], "--list-tokens")
    objects = shared.says("p11tool", "--provider", MODULES[0], "--list-all")

    assert "token=CPS%20CAMILLE%20SIMULATION-MEDECIN" in tokens
    assert objects.count("Type: Private key (RSA-2048)") == 2
    assert objects.count("Type: X.509 Certificate (RSA-2048)") == 2


def test_a_certificate_is_exported_as_the_card_holds_it(shared: Desk) -> None:
    needs("p11tool")
    address = "pkcs11:object=Certificat%20d%27Authentification%20CPS;type=cert"
    said = shared.says("p11tool", "--provider", MODULES[0], "--export", address)

    exported = x509.load_pem_x509_certificate(said.encode())
    assert exported == shared.cps3.issued.authentication.certificate


def test_looking_asks_nobody_and_does_not_touch_a_card_that_was_read(shared: Desk) -> None:
    shared.pkcs11_tool("-L", "-O")
    before = shared.cps3.count

    shared.pkcs11_tool("-L", "-O", "-M")

    assert shared.cps3.count == before
    assert shared.station.pinentry.shown() == []


def test_nothing_can_be_written(shared: Desk) -> None:
    ran = shared.run(
        "pkcs11-tool", "--module", MODULES[0], "--write-object", "/etc/hostname", "--type", "data", "--label", "x"
    )

    assert ran.returncode != 0
    assert "CKR_TOKEN_WRITE_PROTECTED" in ran.stdout


@needs_root
def test_another_user_of_the_machine_sees_no_slot(shared: Desk) -> None:
    needs("setpriv")
    open_to_everybody(shared.station.directory)
    other = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")

    said = shared.run(*other, "pkcs11-tool", "--module", MODULES[0], "-L", "-O").stdout

    assert "No slots" in said
    assert "SIMULATION" not in said


async def test_the_authorities_that_cardd_knows_are_there_to_be_sent_along(tmp_path: Path) -> None:
    """But for those that vouch for themselves, which no program sends."""
    persons, _root = authorities = store().authorities
    async with Inside(tmp_path, authorities=authorities) as inside:
        client = await inside.client()
        session = await client.session()
        [found] = await client.find(session, CERTIFICATE_CATEGORY=2)
        told = await client.call("get_attribute_value", ulong(session, found) + struct.pack(">III", 1, 0x11, 9999))

        assert persons in told
        assert len(await client.find(session)) == 7
        assert len(await client.find(session, CERTIFICATE_CATEGORY=1)) == 2


async def test_a_session_by_e_cps_is_no_token(tmp_path: Path) -> None:
    authority, secrets = Authority(), MemorySecrets()
    secrets.values["psc-client-secret"] = SECRET.encode()
    (tmp_path / "psc.pem").write_bytes(authority.pem)
    async with FakeProvider(authority) as provider:
        provider.start["interval"] = 0.01
        psc = Psc(issuer=provider.issuer, client_id=CLIENT, authorities=tmp_path / "psc.pem")
        async with Inside(tmp_path, psc=psc, secrets=secrets, clock=RunningClock()) as inside:
            inside.parts.logins.ecps.limits.interval = 0.01
            client = await inside.client()
            inside.reader.remove()
            await eventually(lambda: not inside.parts.readers.every.cards())
            before = await client.slots()
            inside.person.attentive.clear()  # the mobile answers

            lps = Caller(CallerKind.PROGRAM, "lps-1", "LPS", "urn:cardd:client:lps-1", Peer(inside.uid))
            session, _ = await inside.parts.logins.ecps.open(lps, Request(Wanted(ALICE)))
            await eventually(lambda: session.state is SessionState.ACTIVE)
            assert await client.slots() == before
            assert await client.slots(with_token=True) == []
