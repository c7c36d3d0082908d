"""Every error that cardd raises, in one tree.

Each class has a stable ``code`` (published in the API and in the support documents), the HTTP ``status`` that the
API answers with, and whether the same request may succeed later without anything else being changed
(``retryable``). The sentences that people read, title, detail and what to do, stand in ``cardd.i18n`` under the same
code, in French and English; ``params`` fills their placeholders. Reasons are classes, never prose: no caller
compares texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

Param = str | int


class CarddError(Exception):
    """Root of the tree; never raised itself."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, **params: Param) -> None:
        super().__init__(self.code)
        self.params: dict[str, Param] = params

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.code} ({told})" if told else self.code


class InternalError(CarddError):
    """A fault of cardd's own; what happened is in the journal, not in the answer."""


# --- the request -----------------------------------------------------------------------------------------------


class RequestError(CarddError):
    """The request cannot be served as it stands."""

    status = 400


class NotJson(RequestError):
    """The body is not a JSON document."""

    code = "request.not_json"


class BodyTooDeep(RequestError):
    """The body nests deeper than the API ever needs."""

    code = "request.too_deep"


class BodyTooLarge(RequestError):
    """The body passes the configured limit. Params: ``limit`` (bytes)."""

    code = "request.too_large"
    status = 413


class RequestTimeout(RequestError):
    """The body did not arrive in time."""

    code = "request.timeout"
    status = 408
    retryable = True


class InvalidRequest(RequestError):
    """A field is unknown, missing or of the wrong type. Params: ``where`` (JSON path), ``why``.

    ``why`` is one of the texts ``reason.…``, without that prefix, or says it without words of a language.
    """

    code = "request.invalid"
    status = 422


class UnsupportedMediaType(RequestError):
    """A body was sent as something else than ``application/json``."""

    code = "request.media_type"
    status = 415


class NotFound(RequestError):
    """No such resource."""

    code = "request.not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The resource exists and has no such method. Params: ``allowed``."""

    code = "request.method"
    status = 405


class Forbidden(RequestError):
    """Wrong Host, foreign Origin, or another user's process: all get the same terse answer."""

    code = "request.forbidden"
    status = 403


class TooManyRequests(RequestError):
    """This caller already has as much under way as one caller may. Params: ``retry_after`` (seconds)."""

    code = "request.too_many"
    status = 429
    retryable = True


class IdempotencyKeyReused(RequestError):
    """The same Idempotency-Key came with another body."""

    code = "request.idempotency_key_reused"
    status = 422


# --- who asks ----------------------------------------------------------------------------------------------------


class ClientError(CarddError):
    """The calling program or page may not do this."""

    status = 403


class ClientUnknown(ClientError):
    """No client secret, or one that no paired client has."""

    code = "client.unknown"
    status = 401


class ClientNotFound(ClientError):
    """The request names a client that is not there, or not the caller's."""

    code = "client.not_found"
    status = 404


class ClientLocked(ClientError):
    """The program is paired, but was locked; with a code of support, where those are demanded, it is unlocked."""

    code = "client.locked"
    status = 403


class PairingNotFound(ClientError):
    """No such pairing is waiting, or it ended and its answer was fetched."""

    code = "client.pairing_not_found"
    status = 404


class PairingRefused(ClientError):
    """The user refused the program, or the dialog timed out."""

    code = "client.pairing_refused"


class PermissionMissing(ClientError):
    """The client was not paired for this. Params: ``permission``."""

    code = "client.permission"
    status = 403


class SessionError(CarddError):
    """The session does not allow this."""

    status = 401


class SessionUnknown(SessionError):
    """No session token, or one that no session of this caller has."""

    code = "session.unknown"


class SessionExpired(SessionError):
    """Too long idle, or too old. Params: ``reason`` (``idle`` or ``max_age``)."""

    code = "session.expired"


class SessionClosed(SessionError):
    """Closed before the request. Params: ``reason`` (``card_removed``, ``logout``, ``client_removed``, …)."""

    code = "session.closed"


class SessionPending(SessionError):
    """The person has not agreed on the mobile yet."""

    code = "session.pending"
    status = 409
    retryable = True


class SessionLocked(SessionError):
    """The user's screen is locked, or the machine slept; no PIN unlocks this session."""

    code = "session.locked"
    status = 409
    retryable = True


class SessionCannotSign(SessionError):
    """An e-CPS session has no key: it signs no document."""

    code = "session.cannot_sign"
    status = 409


class SessionNotPsc(SessionError):
    """The session was not opened through Pro Santé Connect: it has no token of it."""

    code = "session.not_psc"
    status = 409


class MethodUnavailable(SessionError):
    """This login method cannot be used here now. Params: ``method``, ``why``."""

    code = "session.method_unavailable"
    status = 422


class SituationUnknown(SessionError):
    """The person has no such situation of practice, or none was picked. Params: ``known``."""

    code = "session.situation"
    status = 422


class PushTooSoon(SessionError):
    """The mobile was asked a moment ago. Params: ``retry_after`` (seconds)."""

    code = "session.push_too_soon"
    status = 429
    retryable = True


class ConsentError(CarddError):
    """The user did not agree."""

    status = 403


class ConsentRefused(ConsentError):
    """The user said no."""

    code = "consent.refused"


class ConsentTimeout(ConsentError):
    """The user did not answer in time."""

    code = "consent.timeout"
    retryable = True


class BatchExhausted(ConsentError):
    """A named batch asks for more signatures than were agreed to. Params: ``batch``."""

    code = "consent.batch_exhausted"


# --- prompts and PIN --------------------------------------------------------------------------------------------


class PromptError(CarddError):
    """The user could not be asked."""

    status = 503
    retryable = True


class PromptUnavailable(PromptError):
    """No agent is registered for this user and no pinentry can be started. Params: ``why``."""

    code = "prompt.unavailable"


class PromptBusy(PromptError):
    """Another dialog is already open for this user."""

    code = "prompt.busy"


class PinError(CarddError):
    """The PIN was not accepted, or could not be had."""

    status = 403


class PinCancelled(PinError):
    """The user closed the PIN dialog."""

    code = "pin.cancelled"


class PinTimeout(PinError):
    """The PIN dialog stayed open too long."""

    code = "pin.timeout"
    retryable = True


class PinWrong(PinError):
    """The card refused the PIN. Params: ``tries_left``."""

    code = "pin.wrong"
    retryable = True


class PinRefused(PinWrong):
    """A token or key file refused the PIN or password, and tells no tries left."""

    code = "pin.refused"


class PinBlocked(PinError):
    """The card accepts no PIN any more until it is unblocked."""

    code = "pin.blocked"


class PinUnchangeable(PinError):
    """This PIN cannot be changed or unblocked here: the card or token does not offer it, or its keypad does not."""

    code = "pin.unchangeable"
    status = 409


class PukWrong(PinError):
    """The card refused the unblocking code. Params: ``tries_left``."""

    code = "puk.wrong"
    retryable = True


class PukBlocked(PinError):
    """The card accepts no unblocking code any more."""

    code = "puk.blocked"


class LastTryRefused(PinError):
    """One try is left and the user did not want to spend it. Params: ``tries_left``."""

    code = "pin.last_try"


class PinBackOff(PinError):
    """Too many wrong PINs through this client. Params: ``retry_after`` (seconds)."""

    code = "pin.back_off"
    status = 429
    retryable = True


class PinFormat(PinError):
    """The PIN cannot be right: length or characters. It was not sent. Params: ``minimum``, ``maximum``."""

    code = "pin.format"
    status = 422
    retryable = True


# --- readers and cards -----------------------------------------------------------------------------------------


class ReaderError(CarddError):
    """The reader side does not work."""

    status = 503
    retryable = True


class PcscUnavailable(ReaderError):
    """The PC/SC service (pcscd) does not answer."""

    code = "reader.pcsc_unavailable"


class ReaderUnknown(ReaderError):
    """No reader of that name is connected. Params: ``reader``."""

    code = "reader.unknown"
    status = 404
    retryable = False


class ReaderGone(ReaderError):
    """The reader was unplugged during the operation. Params: ``reader``."""

    code = "reader.gone"


class ReaderBusy(ReaderError):
    """Another program holds the card for itself. Params: ``reader``."""

    code = "reader.busy"


class ModuleFailed(ReaderError):
    """A PKCS#11 module's process ended, crashed or hung; it is started anew. Params: ``module``, ``why``."""

    code = "module.failed"


class CardError(CarddError):
    """The card does not allow this."""

    status = 409


class CardUnknown(CardError):
    """No such card is inserted. Params: ``card``."""

    code = "card.unknown"
    status = 404


class CardAbsent(CardError):
    """No card that could serve is inserted."""

    code = "card.absent"
    retryable = True


class CardAmbiguous(CardError):
    """Several cards could serve and none was named; ``cards`` lists their identifiers. Params: ``count``."""

    code = "card.ambiguous"

    def __init__(self, cards: tuple[str, ...]) -> None:
        super().__init__(count=len(cards))
        self.cards = cards


class CardRemoved(CardError):
    """The card left the reader during the operation. Nothing was signed."""

    code = "card.removed"
    retryable = True


class CardReset(CardError):
    """Another program reset the card during the operation."""

    code = "card.reset"
    retryable = True


class CardUnrecognised(CardError):
    """No driver knows this card. Params: ``atr``."""

    code = "card.unrecognised"
    status = 422


class CardIsVitale(CardError):
    """The card is a patient's (carte Vitale), not a professional's."""

    code = "card.vitale"
    status = 422


class CardContactless(CardError):
    """The card is read without contact: it tells what card it is, and has no key of its holder's to offer."""

    code = "card.contactless"
    status = 422


class CardUnsupported(CardError):
    """A CPx card of a generation that cardd does not serve. Params: ``kind``."""

    code = "card.unsupported"
    status = 422


class CardMute(CardError):
    """The card does not answer: badly inserted, dirty or broken."""

    code = "card.mute"
    status = 502
    retryable = True


class CardTimeout(CardError):
    """The card took longer than any known card does. Params: ``seconds``."""

    code = "card.timeout"
    status = 504
    retryable = True


class CardGarbled(CardError):
    """The card answered something that no specification allows. Params: ``what``."""

    code = "card.garbled"
    status = 502


class CardRefused(CardError):
    """The card refused a command. Params: ``command``, ``sw`` (status word, four hex digits)."""

    code = "card.refused"
    status = 502


class PinRequired(CardError):
    """The card wants the PIN first (6982): its login was lost to another program."""

    code = "card.pin_required"
    retryable = True


class CardIncomplete(CardError):
    """The card lacks the key or the certificate that the operation needs. Params: ``what``."""

    code = "card.incomplete"
    status = 422


class AlgorithmUnsupported(CardError):
    """The card's key cannot sign this way. Params: ``algorithm``."""

    code = "signature.algorithm"
    status = 422


class SignatureInvalid(CardError):
    """The card's signature does not verify with its own certificate; it was thrown away."""

    code = "signature.invalid"
    status = 502
    retryable = True


# --- Pro Santé Connect ------------------------------------------------------------------------------------------


class PscError(CarddError):
    """The login through Pro Santé Connect did not succeed; no session came of it."""

    status = 502


class PscUnavailable(PscError):
    """The provider does not answer, breaks off, or says that it cannot serve now. Params: ``host``."""

    code = "psc.unavailable"
    status = 503
    retryable = True


class PscCertificate(PscError):
    """The provider's TLS certificate is not one that this machine trusts for its name. Params: ``host``."""

    code = "psc.certificate"


class PscGarbled(PscError):
    """The provider answered something that the standards do not allow. Params: ``what``."""

    code = "psc.garbled"
    retryable = True


class PscDiscoveryIssuer(PscError):
    """The discovery document is another issuer's. Params: ``issuer`` (the one that was asked)."""

    code = "psc.discovery_issuer"


class PscDiscoveryHost(PscError):
    """The discovery document names a host outside the issuer's domain. Params: ``endpoint``, ``host``."""

    code = "psc.discovery_host"


class PscDiscoveryInsecure(PscError):
    """An address of the provider is not https. Params: ``endpoint``."""

    code = "psc.discovery_insecure"


class PscNoCiba(PscError):
    """The provider, or this service at the provider, has no login by mobile (CIBA)."""

    code = "psc.no_ciba"
    status = 422


class PscClientRefused(PscError):
    """The provider does not accept the service's credentials."""

    code = "psc.client_refused"


class PscIncomplete(PscError):
    """This workstation lacks what it proves the service with. Params: ``what`` (a secret's name, a file), ``why``."""

    code = "psc.incomplete"
    status = 503


class PscLoginHintUnknown(PscError):
    """Nobody at the provider has this national id."""

    code = "psc.login_hint"
    status = 422


class PscRequestRefused(PscError):
    """The provider refused the request. Params: ``error`` (its OAuth error code)."""

    code = "psc.request_refused"


class PscDenied(PscError):
    """The person refused on the mobile or on the provider's page."""

    code = "psc.denied"
    status = 403


class PscExpired(PscError):
    """Nobody answered on the mobile in time."""

    code = "psc.expired"
    status = 403
    retryable = True


class PscBrowserTimeout(PscError):
    """The browser did not come back from the provider's page in time."""

    code = "psc.browser_timeout"
    status = 403
    retryable = True


class PscRedeemed(PscError):
    """This login request or code was redeemed before, or the provider forgot it."""

    code = "psc.redeemed"
    status = 409


class PscSessionOver(PscError):
    """The provider's session ended: its refresh or access token is worth nothing any more."""

    code = "psc.session_over"
    status = 401


class PscOtherPerson(PscError):
    """Somebody else than the expected person logged in."""

    code = "psc.other_person"
    status = 403


class PscUserinfoSubject(PscError):
    """The userinfo speaks of another subject than the ID token."""

    code = "psc.userinfo_subject"


class PscFlowUnavailable(PscError):
    """This way to log in does not exist with this configuration. Params: ``flow`` (``mobile``, ``browser``)."""

    code = "psc.flow_unavailable"
    status = 422


class PscApiUnknown(PscError):
    """No API of this name is configured to exchange tokens for. Params: ``api``."""

    code = "psc.api_unknown"
    status = 422


class PscTokenError(PscError):
    """A signed token of the provider cannot be accepted. Params: ``token``.

    ``token`` is ``id_token``, ``userinfo``, ``logout_token``, ``access_token`` or ``redirect``.
    """


class PscTokenMalformed(PscTokenError):
    """It is no signed token, or lacks a claim that it must have."""

    code = "psc.token_malformed"


class PscTokenAlgorithm(PscTokenError):
    """It is signed by an algorithm that is not accepted (``none`` and HMAC never are)."""

    code = "psc.token_algorithm"


class PscTokenKey(PscTokenError):
    """It is signed with a key that the provider does not publish."""

    code = "psc.token_key"


class PscTokenSignature(PscTokenError):
    """Its signature is wrong."""

    code = "psc.token_signature"


class PscTokenIssuer(PscTokenError):
    """It comes from another issuer."""

    code = "psc.token_issuer"


class PscTokenAudience(PscTokenError):
    """It was made for another service."""

    code = "psc.token_audience"


class PscTokenBinding(PscTokenError):
    """It does not belong to this login, or to this certificate. Params: also ``claim`` (``nonce``, ``at_hash``, …)."""

    code = "psc.token_binding"


class PscTokenExpired(PscTokenError):
    """It is past its time."""

    code = "psc.token_expired"


class PscTokenFromFuture(PscTokenError):
    """It was made later than now: one of the two clocks is wrong."""

    code = "psc.token_from_future"


class PscTokenLevel(PscTokenError):
    """It names a weaker login than was asked for (``acr``)."""

    code = "psc.token_level"


class PscTokenReplayed(PscTokenError):
    """It came before."""

    code = "psc.token_replayed"


# --- this machine ---------------------------------------------------------------------------------------------


class SystemFault(CarddError):
    """Something of this workstation is missing or broken."""

    status = 503


class AuditUnavailable(SystemFault):
    """The audit log cannot be written, so nothing is signed. Params: ``why``."""

    code = "audit.unavailable"
    retryable = True


class AuditBroken(SystemFault):
    """The audit log was changed. Params: ``row``, ``why``."""

    code = "audit.broken"


class StateUnavailable(SystemFault):
    """A document in the state directory cannot be read or written. Params: ``file``, ``why``."""

    code = "state.unavailable"
    retryable = True


class StateDamaged(StateUnavailable):
    """A document in the state directory is not what cardd wrote. Params: ``file``, ``why``."""

    code = "state.damaged"
    retryable = False


class StateTooNew(StateUnavailable):
    """A newer cardd wrote a file of the state, which is left as it is. Params: ``file``, ``format``, ``known``."""

    code = "state.too_new"
    retryable = False


class SecretStoreUnavailable(SystemFault):
    """No store that keeps secrets encrypted is at hand. Params: ``why``."""

    code = "secrets.unavailable"


class ConfigInvalid(SystemFault):
    """The configuration cannot be used. Params: ``file``, ``key``, ``why`` (a word), ``expected``.

    ``cardd.config.explain`` makes the sentence.
    """

    code = "config.invalid"


class DaemonUnproven(SystemFault):
    """What answers over TCP is not the daemon that this program was paired with. Params: ``where``."""

    code = "daemon.unproven"


class AddressInUse(SystemFault):
    """Another program, or another cardd, listens where this one should. Params: ``address``."""

    code = "daemon.address_in_use"


class SimulatorsMissing(SystemFault):
    """No package that brings simulators is installed."""

    code = "simulators.missing"


class DaemonUnreachable(SystemFault):
    """The client library found no daemon. Params: ``where``."""

    code = "daemon.unreachable"
    retryable = True


def every_error() -> Iterator[type[CarddError]]:
    """Yield each class of the tree that has a code of its own, for the catalogues and for the documents."""
    pending: list[type[CarddError]] = [CarddError]
    while pending:
        found = pending.pop(0)
        pending.extend(found.__subclasses__())
        if "code" in vars(found):
            yield found


# --- documents to be signed, and signed ones -------------------------------------------------------------------


class DocumentError(CarddError):
    """The document cannot be signed, or not understood, as it is."""

    status = 422


class DocumentEmpty(DocumentError):
    """There is nothing to sign or to verify in it."""

    code = "document.empty"


class DocumentTooLarge(DocumentError):
    """The document is larger than its format takes here. Params: ``format``, ``limit`` (bytes)."""

    code = "document.too_large"
    status = 413


class DocumentMalformed(DocumentError):
    """It is not what its format says. Params: ``format``."""

    code = "document.malformed"


class DocumentUnsupported(DocumentError):
    """It is well formed, and uses something that cardd does not take. Params: ``format``, ``what``."""

    code = "document.unsupported"


class DocumentUnknown(DocumentError):
    """This session holds no such document: it was never there, or its time is over. Params: ``document``."""

    code = "document.unknown"
    status = 404


class DocumentsFull(DocumentError):
    """This session holds as many documents, or bytes, as it may. Params: ``count``, ``bytes`` (the limits)."""

    code = "document.too_many"
    status = 409


class DocumentNoSpace(DocumentError):
    """The disk has no room for it, or for what comes of it."""

    code = "document.no_space"
    status = 507
    retryable = True


class DocumentUnrecognised(DocumentError):
    """It is in none of the formats that signatures come in, and no signature was given beside it."""

    code = "document.unrecognised"


class DocumentContentMissing(DocumentError):
    """The signature is detached, and the document that it covers was not given."""

    code = "document.content_missing"


class DocumentContentTwice(DocumentError):
    """The signature holds its document, and one was given beside it."""

    code = "document.content_twice"


class DocumentTimestampForm(DocumentError):
    """This form of the format has no place for a timestamp. Params: ``format``."""

    code = "document.timestamp_form"


class DocumentXmlDoctype(DocumentError):
    """The XML has a document type: entities and outside references are not read."""

    code = "document.xml_doctype"


class DocumentXmlLimits(DocumentError):
    """The XML is more than is read at once. Params: ``depth`` (elements), ``text`` (bytes of one), ``namespaces``."""

    code = "document.xml_limits"


class ManifestDocumentMissing(DocumentError):
    """A document that the manifest names was not given. Params: ``reference``."""

    code = "document.manifest_missing"


class ManifestDocumentDiffers(DocumentError):
    """A document is not the one of which the manifest has the digest. Params: ``reference``."""

    code = "document.manifest_differs"


class ManifestDocumentUnnamed(DocumentError):
    """A document was given that the manifest does not name. Params: ``reference``."""

    code = "document.manifest_unnamed"


class SigningCertificateUsage(DocumentError):
    """The certificate is not for signing documents or assertions: its key usage lacks nonRepudiation."""

    code = "signing_certificate.usage"


class SigningCertificateExpired(DocumentError):
    """The certificate has expired. Params: ``not_after`` (ISO 8601, UTC)."""

    code = "signing_certificate.expired"


class SigningCertificateNotYetValid(DocumentError):
    """The certificate is not valid yet. Params: ``not_before`` (ISO 8601, UTC)."""

    code = "signing_certificate.not_yet_valid"


class TimestampError(DocumentError):
    """There is no timestamp to be had; no signature leaves without the one that was asked for."""

    status = 502


class TimestampUnconfigured(TimestampError):
    """A timestamp was asked for, and no authority is configured."""

    code = "timestamp.unconfigured"
    status = 422


class TimestampUnavailable(TimestampError):
    """The authority cannot be reached, breaks off, or answers no timestamp response. Params: ``host``."""

    code = "timestamp.unavailable"
    status = 503
    retryable = True


class TimestampRefused(TimestampError):
    """The authority refused the request. Params: ``status`` (of its answer, RFC 3161, section 2.4.2)."""

    code = "timestamp.refused"


class TimestampMalformed(TimestampError):
    """The authority's answer is no timestamp response, or its token not one of RFC 3161."""

    code = "timestamp.malformed"
    retryable = True


class TimestampMismatch(TimestampError):
    """The timestamp is not of this request. Params: ``what`` (``imprint`` or ``nonce``)."""

    code = "timestamp.mismatch"


class TimestampTime(TimestampError):
    """The timestamp's time is too far from this machine's. Params: ``seconds`` (ahead, negative: behind)."""

    code = "timestamp.time"


class TimestampUntrusted(TimestampError):
    """The timestamp's certificate is no authority's, or has no path to one that is configured. Params: ``why``.

    ``why`` is ``signature``, ``usage``, ``validity`` or ``path``.
    """

    code = "timestamp.untrusted"


class PdfError(DocumentError):
    """The PDF cannot get this signature, or not be read."""


class PdfDamaged(PdfError):
    """Its structure is broken, or readers could understand it in several ways. Params: ``why`` (its reader's word)."""

    code = "pdf.damaged"


class PdfTooComplex(PdfError):
    """It takes more time or memory than a document may: it is nested too deep, or unpacks to too much."""

    code = "pdf.too_complex"


class PdfEncrypted(PdfError):
    """It is encrypted, or wants a password."""

    code = "pdf.encrypted"


class PdfCertified(PdfError):
    """Somebody signed it and forbade every change, another signature too (DocMDP)."""

    code = "pdf.certified"


class PdfFieldLocked(PdfError):
    """An earlier signature locks the form fields, this one too (FieldMDP). Params: ``field``."""

    code = "pdf.field_locked"


class PdfFieldTaken(PdfError):
    """It has a form field of this name already. Params: ``field``."""

    code = "pdf.field_taken"


class PdfXfa(PdfError):
    """It is an XFA form: what its reader shows is not what the signature would cover."""

    code = "pdf.xfa"


class PdfPageMissing(PdfError):
    """It has no such page. Params: ``page``, ``pages`` (how many there are)."""

    code = "pdf.page_missing"


class PdfRectangleOutside(PdfError):
    """The rectangle is empty, or not wholly on the page. Params: ``page`` (left, bottom, right, top, in points)."""

    code = "pdf.rectangle_outside"


class PdfPictureUnreadable(PdfError):
    """The picture is no PNG or JPEG file, or a broken one."""

    code = "pdf.picture_unreadable"


class PdfPictureTooLarge(PdfError):
    """The picture has too many bytes or pixels. Params: ``limit``."""

    code = "pdf.picture_too_large"
    status = 413


class PdfNoRoom(PdfError):
    """The timestamp is larger than the room that was kept for it."""

    code = "pdf.no_room"


# --- assertions (VIHF, INSi) -----------------------------------------------------------------------------------


class AssertionRefused(CarddError):
    """The assertion asked for would not be true, or would not be accepted: none is made."""

    status = 422


class AssertionProfileUnknown(AssertionRefused):
    """No DMP profile has this name. Params: ``profile``, ``known``."""

    code = "assertion.profile"


class AssertionPointInvalid(AssertionRefused):
    """A profile's point cannot have this value. Params: ``point``, ``known``."""

    code = "assertion.profile_point"


class AssertionRegistrationIncomplete(AssertionRefused):
    """The practice software's registration lacks a value. Params: ``what``."""

    code = "assertion.registration"


class AssertionValueInvalid(AssertionRefused):
    """A value cannot stand in an assertion: empty, too long, or of the wrong form. Params: ``what``."""

    code = "assertion.value"


class AssertionInsFormat(AssertionRefused):
    """The INS has not 13 characters and a key of two digits."""

    code = "assertion.ins_format"


class AssertionInsKey(AssertionRefused):
    """The INS's key does not fit: a digit is wrong."""

    code = "assertion.ins_key"


class AssertionInsOid(AssertionRefused):
    """This OID is no INS's. Params: ``oid``, ``known``."""

    code = "assertion.ins_oid"


class AssertionNationalIdInvalid(AssertionRefused):
    """The identity has no national identifier, or one of no known form."""

    code = "assertion.national_id"


class AssertionRoleMissing(AssertionRefused):
    """Neither card nor login names a profession, and the request chose no role."""

    code = "assertion.role_missing"


class AssertionRoleUnknown(AssertionRefused):
    """The role is in no table for such roles, or the person has a profession. Params: ``role``."""

    code = "assertion.role"


class AssertionExpertiseMissing(AssertionRefused):
    """A doctor's savoir-faire is told by neither card nor login."""

    code = "assertion.expertise"


class AssertionSectionMissing(AssertionRefused):
    """A pharmacist's section is told by nobody, or by two who differ."""

    code = "assertion.section"


class AssertionCodeUnknown(AssertionRefused):
    """The words for a code are not known. Params: ``table``, ``code``."""

    code = "assertion.code"


class AssertionStructureMissing(AssertionRefused):
    """No structure, or one whose identifier has no known form."""

    code = "assertion.structure"


class AssertionSectorMissing(AssertionRefused):
    """No sector of activity, or none of the form SAxx."""

    code = "assertion.sector"


class AssertionIdentityDeclared(AssertionRefused):
    """The practice software told who the person is, and this mode wants proof."""

    code = "assertion.identity_declared"


class AssertionLoginUnfit(AssertionRefused):
    """This means of login cannot carry this mode. Params: ``means``, ``mode``."""

    code = "assertion.login"


class AssertionOrganisationMissing(AssertionRefused):
    """The mode needs the organisation's signature certificate."""

    code = "assertion.organisation"


class AssertionSignerOther(AssertionRefused):
    """The signing certificate is somebody else's."""

    code = "assertion.signer"


class AssertionCardType(AssertionRefused):
    """The certificate does not tell the card's type (CPS, CPF, CPE, CPA)."""

    code = "assertion.card_type"


class AssertionNoneNeeded(AssertionRefused):
    """This service takes no assertion in this mode: the TLS certificate suffices."""

    code = "assertion.none_needed"


class AssertionLate(AssertionRefused):
    """The signature came after the assertion's life had ended. Params: ``seconds``."""

    code = "assertion.late"
    status = 409
    retryable = True


# --- upstreams: servers reached with the card ------------------------------------------------------------------


class UpstreamError(CarddError):
    """The server behind the relay cannot be reached, or is not who it must be."""

    status = 502


class TlsUnavailable(UpstreamError):
    """This machine's OpenSSL cannot be used with a key outside of it. Params: ``why``."""

    code = "upstream.library"
    status = 503


class UpstreamUnknown(UpstreamError):
    """The configuration has no upstream of this name. Params: ``name``."""

    code = "upstream.unknown"
    status = 404


class UpstreamPathRefused(UpstreamError):
    """The configuration does not allow this path of the upstream, or the path is ambiguous. Params: ``name``."""

    code = "upstream.path"
    status = 403


class UpstreamUnreachable(UpstreamError):
    """No connection, or no answer in time. Params: ``name``, ``why``."""

    code = "upstream.unreachable"
    status = 503
    retryable = True


class UpstreamTimeout(UpstreamError):
    """It was reached and then said nothing for too long. Params: ``name``, ``seconds``."""

    code = "upstream.timeout"
    status = 504
    retryable = True


class UpstreamUntrusted(UpstreamError):
    """Its certificate is not one to trust for this host. Params: ``name``, ``why``."""

    code = "upstream.certificate"


class UpstreamCertificateWeak(UpstreamError):
    """Our own certificate is too weak for TLS: a short key, an old signature. Params: ``why``."""

    code = "upstream.weak_certificate"
    status = 422


class UpstreamRefusedUs(UpstreamError):
    """It ended the handshake: it does not want this certificate, or nothing that its key can do.

    Params: ``name``, ``why``.
    """

    code = "upstream.refused"


class UpstreamTlsFailed(UpstreamError):
    """No TLS connection came to be, for another reason. Params: ``name``, ``why``."""

    code = "upstream.tls"


class UpstreamClosed(UpstreamError):
    """It hung up in the middle. Params: ``name``."""

    code = "upstream.closed"
    retryable = True


class UpstreamGarbled(UpstreamError):
    """What it answers is not HTTP. Params: ``name``."""

    code = "upstream.garbled"


class UpstreamAnswerTooLarge(UpstreamError):
    """Its answer passes the configured limit. Params: ``name``, ``limit`` (bytes)."""

    code = "upstream.too_large"


class UpstreamClockOff(UpstreamError):
    """This machine's clock and the upstream's differ by more than they may; its answer is not handed on.

    Params: ``name``, ``seconds``, and the HTTP ``answered`` status: the request was served.
    """

    code = "upstream.clock"


# --- one-time codes of support ---------------------------------------------------------------------------------


class SupportCodeError(CarddError):
    """What was asked needs a one-time code of support, and did not have it."""

    status = 403


class SupportCodeRequired(SupportCodeError):
    """This workstation demands a code here, and none came."""

    code = "support_code.required"


class SupportCodeWrong(SupportCodeError):
    """It is no code of this minute; too many of them lock the workstation."""

    code = "support_code.wrong"


class SupportCodeReplayed(SupportCodeError):
    """The code is right and was used before. Params: ``retry_after`` (seconds until the next code)."""

    code = "support_code.replayed"


class SupportCodeLocked(SupportCodeError):
    """Too many wrong codes: none is looked at for a while. Params: ``retry_after`` (seconds)."""

    code = "support_code.locked"
    status = 429
    retryable = True


class SupportNotEnrolled(SupportCodeError):
    """Codes are demanded here and this workstation has none; or no enrolment waits for its first code."""

    code = "support_code.not_enrolled"
    status = 409


class SupportCodesOff(SupportCodeError):
    """The configuration demands no codes on this workstation, so there is nothing to enrol."""

    code = "support_code.off"
    status = 409


class SupportSecretFixed(SupportCodeError):
    """The secret is a credential that systemd passes: the service cannot change or forget it."""

    code = "support_code.fixed"
    status = 409


class SupportSecretUnreadable(SupportCodeError):
    """The secret at rest is no base32 of 112 bits or more."""

    code = "support_code.unreadable"
    status = 503


class SupportAdministratorOnly(SupportCodeError):
    """Only root, or the service's own user, may do this: enrol the workstation, see what cards answer."""

    code = "support_code.administrator"
