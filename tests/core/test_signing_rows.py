"""What each use of a key leaves in the audit log, under which consent, and who is told why nothing was done."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from cardd.core.attempts import Attempts
from cardd.core.consents import Batch, SignatureRequest
from cardd.core.pin import PinEntry
from cardd.core.recording import DocumentNames, Pseudonyms
from cardd.core.session import Session
from cardd.core.signing import Signing
from cardd.errors import (
    AlgorithmUnsupported,
    AuditSlow,
    AuditUnavailable,
    BatchExhausted,
    CardIncomplete,
    CardRefused,
    CardTimeout,
    ConsentRefused,
    SessionCannotSign,
)
from cardd.model import Algorithm, AuditEntry, Choice, KeyPurpose, Message, Outcome
from cardd.values import replace
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.memory import MemoryStore

DIGEST = hashlib.sha256(b"Compte rendu SIMULATION").digest()
SHOWN = hashlib.sha256(b"Ordonnance SIMULATION").digest()
UPSTREAM, HOST = "dmp", "dmp.example"
PSO, AUTHENTICATE = 0x2A, 0x88


@dataclass
class Open:
    """A session with a card, and its certificates."""

    core: Core
    session: Session

    def serial(self, purpose: KeyPurpose) -> str:
        return self.session.credentials[purpose].serial

    def row(self, action: str, purpose: KeyPurpose, digest: bytes, **more: str | None) -> AuditEntry:
        told = AuditEntry(
            action=action,
            outcome=Outcome.DONE,
            uid=1000,
            caller=CALLER.id,
            caller_name=CALLER.name,
            session=self.session.id,
            digest=digest.hex(),
            certificate=self.serial(purpose),
        )
        return replace(told, **more)

    def rows(self) -> list[AuditEntry]:
        """Return what was recorded of its keys since the last time."""
        rows, self.core.audit.entries = self.core.audit.entries, []
        return [row for row in rows if row.action != "session.lock"]

    async def shake(self, *, asked: bool = True, upstream: str = UPSTREAM) -> bytes:
        return await self.core.signing.handshake(
            self.session, upstream, HOST, algorithm=Algorithm.RS256, digest=DIGEST, asked=asked
        )


@pytest_asyncio.fixture
async def opened(core: Core) -> Open:
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    core.audit.entries.clear()
    return Open(core, session)


def request(document: str = "a.pdf", **more: object) -> SignatureRequest:
    return replace(SignatureRequest(Algorithm.RS256, Message(DIGEST), document), **more)


def verified(certificate: bytes, signature: bytes, digest: bytes) -> bool:
    key = load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
    return True


# --- the rows of what was done


async def test_a_signatures_row_has_what_was_shown_and_how_it_was_agreed_to(opened: Open) -> None:
    [one, other] = await opened.core.signing.sign(
        opened.session, [request(digest=SHOWN, format="pades"), request("", mechanism="CKM_RSA_PKCS")], Batch("lot", 3)
    )
    assert one.algorithm is Algorithm.RS256
    assert (one.certificate, one.chain) == (other.certificate, opened.session.credentials[KeyPurpose.SIGNATURE].chain)
    assert verified(one.certificate, one.signature, DIGEST)
    assert opened.rows() == [
        opened.row("signature.pades", KeyPurpose.SIGNATURE, SHOWN, document="a.pdf", consent="dialog"),
        opened.row("signature.raw", KeyPurpose.SIGNATURE, DIGEST, document="CKM_RSA_PKCS", consent="dialog"),
    ]
    await opened.core.signing.sign(opened.session, [request("b.pdf", mechanism="CKM_RSA_PKCS")], Batch("lot", 3))
    assert opened.rows() == [
        opened.row("signature.raw", KeyPurpose.SIGNATURE, DIGEST, document="b.pdf CKM_RSA_PKCS", consent="batch:lot")
    ]


async def test_what_the_daemon_built_itself_is_signed_by_the_signature_key_under_the_consent_that_was_given(
    opened: Open,
) -> None:
    attempts = Attempts(opened.core.audit, opened.core.clock, 1.0)
    attempt = await attempts.begin(CALLER, "key", b"request")
    signed = await opened.core.signing.issue(
        opened.session, Message(DIGEST), "vihf.issue", "VIHF SIMULATION", "assertions", attempt=attempt
    )
    assert verified(signed.certificate, signed.signature, DIGEST)
    assert (signed.algorithm, signed.chain) == (
        Algorithm.RS256,
        opened.session.credentials[KeyPurpose.SIGNATURE].chain,
    )
    assert opened.rows() == [
        opened.row("vihf.issue", KeyPurpose.SIGNATURE, DIGEST, document="VIHF SIMULATION", consent="assertions")
    ]
    [receipt] = opened.core.audit.receipts.values()
    assert receipt.sealed is None
    assert opened.core.person.questions == []


async def test_a_web_eid_tokens_value_is_the_authentication_keys_of_origin_and_nonce(opened: Open) -> None:
    signed = await opened.core.signing.authenticate(opened.session, "n" * 44)
    value = hashlib.sha256(CALLER.origin.encode()).digest() + hashlib.sha256(b"n" * 44).digest()
    digest = hashlib.sha256(value).digest()
    credential = opened.session.credentials[KeyPurpose.AUTHENTICATION]
    assert verified(credential.certificate, signed.signature, digest)
    assert (signed.algorithm, signed.certificate, signed.chain) == (
        credential.key.algorithms[0],
        credential.certificate,
        credential.chain,
    )
    assert opened.rows() == [
        opened.row("auth_token.issue", KeyPurpose.AUTHENTICATION, digest, consent="login"),
    ]


async def test_what_another_program_has_done_with_the_authentication_key_is_told_as_its_own(opened: Open) -> None:
    async def lend() -> bytes:
        return await opened.core.signing.lend(
            opened.session,
            lambda card, key: card.authenticate(key, Algorithm.RS256, DIGEST),
            SHOWN,
            act="p11.sign",
            about="Programme SIMULATION",
            told={"program": "Programme SIMULATION"},
        )

    certificate = opened.session.credentials[KeyPurpose.AUTHENTICATION].certificate
    assert verified(certificate, await lend(), DIGEST)
    row = opened.row("p11.sign", KeyPurpose.AUTHENTICATION, SHOWN, document="Programme SIMULATION", consent="program")
    assert opened.rows() == [row]
    opened.core.sessions.lock(opened.session)
    opened.core.person.pins = [PIN]
    await lend()
    question = opened.core.person.pin_questions[-1].question
    assert (question.topic, question.caller) == ("lend", CALLER.key)
    assert question.params == {"client": CALLER.name, "program": "Programme SIMULATION"}


async def test_a_handshake_is_agreed_to_once_for_each_server_and_its_row_says_how(opened: Open) -> None:
    certificate = opened.session.credentials[KeyPurpose.AUTHENTICATION].certificate
    for _ in range(2):
        assert verified(certificate, await opened.shake(), DIGEST)
    await opened.shake(upstream="insi")
    [question, _] = opened.core.person.questions
    assert (question.topic, question.params["upstream"], question.params["host"]) == ("relay", UPSTREAM, HOST)
    told = [
        opened.row("tls.handshake", KeyPurpose.AUTHENTICATION, DIGEST, document=f"{name} {HOST}", consent="dialog")
        for name in (UPSTREAM, UPSTREAM, "insi")
    ]
    assert opened.rows() == told


async def test_a_handshake_that_the_login_covers_asks_nobody(opened: Open) -> None:
    await opened.shake(asked=False)
    assert opened.core.person.questions == []
    assert [(row.consent, row.document) for row in opened.rows()] == [("login", f"{UPSTREAM} {HOST}")]


async def test_a_pin_that_is_typed_for_a_handshake_is_the_consent_to_its_server(opened: Open) -> None:
    opened.core.sessions.lock(opened.session)
    opened.core.person.pins = [PIN]
    await opened.shake()
    asked = opened.core.person.pin_questions[-1].question
    assert (asked.topic, asked.params["upstream"], asked.params["host"]) == ("relay", UPSTREAM, HOST)
    await opened.shake()  # with the PIN that is held now
    assert opened.core.person.questions == []
    assert [row.consent for row in opened.rows()] == ["pin", "pin"]


async def test_a_held_pin_is_no_consent_to_another_server(opened: Open) -> None:
    opened.core.person.choice = Choice.NO
    before = opened.core.card.count
    with pytest.raises(ConsentRefused):
        await opened.shake()
    with pytest.raises(ConsentRefused):
        await opened.core.signing.agree_to_relay(opened.session, UPSTREAM, HOST, asks=True)
    assert opened.core.card.count == before
    await opened.core.signing.agree_to_relay(opened.session, UPSTREAM, HOST, asks=False)
    opened.core.sessions.lock(opened.session)
    await opened.core.signing.agree_to_relay(opened.session, UPSTREAM, HOST, asks=True)  # its PIN's dialog asks
    assert len(opened.core.person.questions) == 2


# --- why nothing was done


def cardless(core: Core) -> Session:
    return core.sessions.open(
        session_id="cardless",
        caller=CALLER,
        method="ecps",
        identity=core.sessions.of(1000)[0].identity,
        card=None,
        credentials={},
    )[0]


async def test_a_session_without_a_card_signs_nothing_and_agrees_to_relays_in_a_dialog(opened: Open) -> None:
    core, session = opened.core, cardless(opened.core)
    for ask in (
        core.signing.sign(session, [request()], None),
        core.signing.read(session, lambda card: card.info),
        core.signing.issue(session, Message(DIGEST), "vihf.issue", "", "assertions"),
        core.signing.authenticate(session, "n" * 44),
    ):
        with pytest.raises(SessionCannotSign):
            await ask
    with pytest.raises(SessionCannotSign):
        core.signing.signer(session, None)
    await core.signing.agree_to_relay(session, UPSTREAM, HOST, asks=True)
    assert core.person.topics() == ["relay"]


async def test_a_certificate_that_is_missing_is_named(opened: Open) -> None:
    opened.session.credentials.clear()
    signing = opened.core.signing
    with pytest.raises(CardIncomplete) as told:
        signing.signer(opened.session, None)
    assert told.value.params == {"what": "certificate.signature"}
    with pytest.raises(CardIncomplete) as told:
        signing.authentication(opened.session)
    assert told.value.params == {"what": "certificate.authentication"}


async def test_the_signer_is_the_signature_key_by_the_algorithm_that_was_asked_for_or_its_best(opened: Open) -> None:
    credential = opened.session.credentials[KeyPurpose.SIGNATURE]
    best = credential.key.algorithms[0]
    assert opened.core.signing.signer(opened.session, None) == (credential, best)
    for algorithm in credential.key.algorithms:
        assert opened.core.signing.signer(opened.session, algorithm) == (credential, algorithm)
    with pytest.raises(AlgorithmUnsupported) as told:
        opened.core.signing.signer(opened.session, Algorithm.PS256)
    assert told.value.params == {"algorithm": "PS256"}
    with pytest.raises(AlgorithmUnsupported):
        await opened.core.signing.sign(opened.session, [request(algorithm=Algorithm.PS256)], None)
    [signed] = await opened.core.signing.sign(opened.session, [request(algorithm=None)], None)
    assert signed.algorithm is best


async def test_without_an_audit_row_no_key_gives_anything(opened: Open) -> None:
    core, session = opened.core, opened.session
    core.audit.is_full = True
    for ask in (
        core.signing.issue(session, Message(DIGEST), "vihf.issue", "", "assertions"),
        core.signing.authenticate(session, "n" * 44),
        opened.shake(asked=False),
    ):
        with pytest.raises(AuditUnavailable):
            await ask


async def test_what_failed_on_the_card_is_a_row_that_says_why(opened: Open) -> None:
    core, session = opened.core, opened.session

    def fails() -> None:
        raise CardRefused(command="sign", sw="6A80")

    for instruction, ask in (
        (PSO, core.signing.issue(session, Message(DIGEST), "vihf.issue", "", "assertions")),
        (AUTHENTICATE, core.signing.authenticate(session, "n" * 44)),
    ):
        core.reader.do_during(instruction, fails)
        with pytest.raises(CardRefused):
            await ask
    assert [f"{row.action} {row.outcome.value} {row.code}" for row in opened.rows()] == [
        "vihf.issue failed card.refused",
        "auth_token.issue failed card.refused",
    ]


async def test_a_batchs_consent_is_spent_where_the_card_may_have_signed_and_given_back_where_it_has_not(
    opened: Open,
) -> None:
    core, session, batch = opened.core, opened.session, Batch("lot", 3)
    await core.signing.sign(session, [request()], batch)
    access = core.readers.cards()[0].access

    def late() -> None:
        raise CardTimeout(seconds=1)

    core.reader.do_during(PSO, late)
    with pytest.raises(CardTimeout):
        await core.signing.sign(session, [request()], batch)
    await access.info()
    with pytest.raises(BatchExhausted):
        await core.signing.sign(session, [request()] * 2, batch)
    assert await core.signing.sign(session, [request()], batch)


@pytest.mark.parametrize(
    ("keep", "kept", "with_mechanism"),
    [("name", " a.pdf ", "a.pdf  CKM_RSA"), ("none", None, "CKM_RSA"), ("digest", "name:", "name:")],
)
async def test_the_row_keeps_of_a_documents_name_what_the_settings_say(
    opened: Open, keep: Literal["name", "none", "digest"], kept: str | None, with_mechanism: str
) -> None:
    parts = opened.core.parts
    pins = PinEntry(parts.dialogs, parts.lifecycle)
    names = DocumentNames(keep, Pseudonyms(MemoryStore()))
    signing = Signing(parts.sessions, parts.consents, pins, opened.core.audit, names, patience=1.0)
    requests = [request(" a.pdf "), request(" a.pdf ", mechanism="CKM_RSA"), request("")]
    await signing.sign(opened.session, requests, None)
    told = [row.document for row in opened.rows()]
    assert told[2] == ""  # no name is no pseudonym
    if keep == "digest":
        pseudonym = names.digest(" a.pdf ")
        assert told[:2] == [pseudonym, f"{pseudonym} CKM_RSA"]
    else:
        assert told[:2] == [kept, with_mechanism]


async def test_who_waits_for_a_card_whose_thread_waits_for_the_disk_is_told_of_the_disk(opened: Open) -> None:
    core, session = opened.core, opened.session
    assert session.card
    core.signing.recordings.writing.add(session.card.access)

    def late() -> None:
        raise CardTimeout(seconds=1)

    for instruction, ask in (
        (PSO, core.signing.sign(session, [request()], None)),
        (PSO, core.signing.issue(session, Message(DIGEST), "vihf.issue", "", "assertions")),
        (AUTHENTICATE, core.signing.authenticate(session, "n" * 44)),
    ):
        core.reader.do_during(instruction, late)
        with pytest.raises(AuditSlow) as told:
            await ask
        assert told.value.params == {"seconds": 10}
    assert opened.rows() == []  # the row that says so is on its way
