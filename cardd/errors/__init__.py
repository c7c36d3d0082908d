"""Every error that cardd raises, in one tree.

Each class has a stable ``code`` (published in the API and in the support documents), the HTTP ``status`` that the
API answers with, whether the same request may succeed later without anything else being changed (``retryable``), and
the English of what people read: ``title``, ``detail`` and ``remedy``. Its annotations are its params, which fill the
sentences. Reasons are classes or words, never prose: no caller compares texts. A module holds one subject::

    CarddError
        · InternalError
        · RequestError (request.py)
            · NotJson, BodyTooDeep, BodyTooLarge, RequestTimeout, InvalidRequest, UnsupportedMediaType, NotFound,
              MethodNotAllowed, Forbidden, TooManyRequests, CallerLeft, IdempotencyKeyReused
        · ClientError (client.py)
            · ClientUnknown, ClientNotFound, ClientLocked, PairingNotFound, PairingRefused, PermissionMissing,
              ProgramNotFound, ProgramRefused, ProgramsOff
            · SecretUnavailable
                · SecretExposed
        · PageError (page.py)
            · NotABrowser, BrowserUnseen, PageProofNeeded, PageProofInvalid, PageConsentNeeded, PageRightMissing,
              SiteNotFound, OriginNotAskable, StatusPageLinkInvalid, StatusPageUnserved
        · SupportCodeError (client.py)
            · SupportCodeRequired, SupportCodeWrong, SupportCodeReplayed, SupportCodeLocked, SupportNotEnrolled,
              SupportCodesOff, SupportSecretFixed, SupportSecretUnreadable, SupportAdministratorOnly
        · SessionError (session.py)
            · SessionUnknown, SessionExpired, SessionClosed, SessionPending, SessionLocked, SessionCannotSign,
              LoginCertificateExpired, LoginCertificateNotYetValid, SessionNotPsc, MethodUnavailable, SituationUnknown,
              PushTooSoon
        · ConsentError (dialogs.py)
            · ConsentRefused, ConsentTimeout, RefusedTooOften, BatchExhausted
        · PromptError (dialogs.py)
            · PromptUnavailable, PromptBusy
        · PinError (dialogs.py)
            · PinCancelled, PinTimeout, PinBlocked, PinUnchangeable, PukBlocked, LastTryRefused, PinBackOff, PinFormat,
              NewPinRefused
            · PinWrong
                · PinRefused
            · PukWrong
                · PukRefused
        · ReaderError (card.py)
            · PcscUnavailable
                · LentReadersUnavailable
            · ReaderGone, ReaderBusy, ReaderNotYours, ModuleFailed
        · CardError (card.py)
            · CardUnknown, CardAbsent, CardInUse, CardAmbiguous, CardRemoved, CardReset, CardUnrecognised,
              CardIsVitale, CardContactless, CardUnsupported, CardMute, CardTimeout, CardGarbled, CardRefused,
              PinRequired, CardIncomplete, HolderUnknown, KeysUnusable, AlgorithmUnsupported, SignatureInvalid,
              SignatureLost
        · PscError (psc_reach.py)
            · PscDirectNotAgreed
            · PscIncomplete
                · PscTestCertificate
            · PscUnavailable
                · PscNameUnknown, PscConnectionRefused, PscSilent, PscBlocked, PscBehindProxy, PscBusy, PscFailing,
                  PscRealmUnknown
            · PscCertificate
                · PscCertificateExpired, PscCertificateEarly, PscCertificateName, PscCertificateUnknown
            · PscClientRefused
                · PscSecretWrong, PscClientExpired
            · (psc.py) PscGarbled, PscDiscoveryIssuer, PscDiscoveryHost, PscDiscoveryInsecure, PscNoCiba,
              PscSessionElsewhere, PscLoginHintUnknown, PscRequestRefused, PscDenied, PscExpired, PscBrowserTimeout,
              PscRedeemed, PscSessionOver, PscOtherPerson, PscUserinfoSubject, PscFlowUnavailable, PscApiUnknown
            · PscTokenError (psc.py)
                · PscTokenMalformed, PscTokenAlgorithm, PscTokenKey, PscTokenSignature, PscTokenIssuer,
                  PscTokenAudience, PscTokenBinding, PscTokenExpired, PscTokenFromFuture, PscTokenStale,
                  PscTokenType, PscTokenLevel, PscTokenReplayed
        · DocumentError (document.py)
            · DocumentEmpty, DocumentTooLarge, DocumentMalformed, DocumentUnsupported, DocumentIsSignedPart,
              DocumentAmbiguous, DocumentUnknown, DocumentsFull, DocumentNoSpace, DocumentUnrecognised,
              DocumentContentMissing, DocumentContentTwice, DocumentTimestampForm, DocumentXmlDoctype,
              DocumentXmlLimits, ManifestDocumentMissing, ManifestDocumentDiffers, ManifestDocumentUnnamed,
              SigningCertificateUsage, SigningCertificateExpired, SigningCertificateNotYetValid
            · TimestampError
                · TimestampUnconfigured, TimestampUnavailable, TimestampRefused, TimestampMalformed, TimestampMismatch,
                  TimestampTime, TimestampUntrusted
            · PdfError (pdf.py)
                · PdfDamaged, PdfTooComplex, PdfProcessFailed, PdfNoSandbox, PdfEncrypted, PdfCertified,
                  PdfFieldLocked, PdfFieldTaken, PdfXfa, PdfPageMissing, PdfRectangleOutside, PdfPictureUnreadable,
                  PdfPictureTooLarge, PdfNoRoom
        · AssertionRefused (assertion.py)
            · AssertionProfileUnknown, AssertionPointInvalid, AssertionRegistrationIncomplete, AssertionValueInvalid,
              AssertionInsFormat, AssertionInsKey, AssertionInsOid, AssertionNationalIdInvalid, AssertionRoleMissing,
              AssertionRoleUnknown, AssertionExpertiseMissing, AssertionSectionMissing, AssertionCodeUnknown,
              AssertionStructureMissing, AssertionSectorMissing, AssertionIdentityDeclared, AssertionLoginUnfit,
              AssertionOrganisationMissing, AssertionSignerOther, AssertionCardType, AssertionNoneNeeded, AssertionLate
        · UpstreamError (upstream.py)
            · TlsUnavailable, UpstreamUnknown, UpstreamPathRefused, UpstreamUnreachable, UpstreamTimeout,
              UpstreamUntrusted, UpstreamCertificateWeak, UpstreamRefusedUs, UpstreamTlsFailed, UpstreamClosed,
              UpstreamGarbled, UpstreamAnswerTooLarge, UpstreamClockOff, UpstreamProduction, UpstreamRevoked,
              UpstreamNotVouchedFor, UpstreamOfAnotherKind
        · SystemFault (system.py)
            · ConfigInvalid, AddressInUse, SimulatorsMissing, PolicyUnreadable, HttpsNotMade, CertutilMissing,
              TrustStoreRefused, ClientModuleMissing, RegistrationUnreadable,
              BundleKeyUnusable, DaemonExhausted
            · DaemonUnproven
                · SocketExposed
            · DaemonUnreachable
                · DaemonSilent
            · SecretStoreUnavailable (storage.py)
            · AuditUnavailable (storage.py)
                · AuditSlow, AuditDamaged, AuditBroken, AuditHeadBroken, AuditKeyMissing, AuditKeyWeak
            · StateUnavailable (storage.py)
                · StateDamaged, StateTooNew, StateExposed, StateNotAFile, StateInUse
"""

from __future__ import annotations

from cardd.errors.assertion import *
from cardd.errors.base import *
from cardd.errors.card import *
from cardd.errors.client import *
from cardd.errors.dialogs import *
from cardd.errors.document import *
from cardd.errors.page import *
from cardd.errors.pdf import *
from cardd.errors.psc import *
from cardd.errors.psc_reach import *
from cardd.errors.request import *
from cardd.errors.session import *
from cardd.errors.storage import *
from cardd.errors.system import *
from cardd.errors.upstream import *
