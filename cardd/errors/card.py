"""The reader does not work, or the card does not allow this."""

from __future__ import annotations

from cardd.errors.base import CarddError, Param, Words
from cardd.i18n import N_

# who holds a card
_WHO: Words = {
    "who": {
        "program": N_("The program {program} (process {pid}) has it."),
        "unknown": N_("Another program has it."),
        "user": N_("A program of the user {user} has it."),
    }
}

# what makes no sense in a card's answer
_GARBLED: Words = {
    "what": {
        what: what
        for what in (
            N_("a response without a status word"),
            N_("more bytes than were asked for"),
            N_("an answer without an end"),
            N_("an empty data object"),
            N_("a data object without a tag"),
            N_("a tag cut short"),
            N_("a data object without a length"),
            N_("a length that no card file can have"),
            N_("data objects nested too deep"),
            N_("a data object longer than its file"),
            N_("a serial number of another issuer"),
            N_("a situation of practice that is none"),
            N_("more directories than any card has"),
            N_("a certificate without an RSA key"),
            N_("a certificate that is none"),
            N_("a number that no directory holds"),
            N_("a reference longer than a byte"),
            N_("a bit string that no directory holds"),
            N_("an identifier that no directory holds"),
            N_("a path that no card has"),
            N_("a file longer than any card's"),
            N_("files without an end"),
            N_("a directory cut short"),
            N_("a file cut short"),
            N_("an application without a name"),
            N_("a directory without a path"),
            N_("a PIN without lengths"),
            N_("a directory record without its attributes"),
            N_("a directory record without a field it must have"),
        )
    }
    | {"certificate": N_("a certificate that is none"), "PKCS#12": N_("a file that is no PKCS#12")}
}

# what a card lacks
_LACKING: Words = {
    "what": {
        "application": N_("the health professional's application"),
        "authentication": N_("the list of its codes"),
        "private_keys": N_("the list of its keys"),
        "certificates": N_("the list of its certificates"),
        "data": N_("the list of its data"),
        "pin": N_("a PIN"),
        "modulus": N_("the length of its authentication key"),
        "token": N_("a token"),
        "certificate": N_("a certificate of its keys"),
        "certificate.authentication": N_("the authentication certificate"),
        "certificate.signature": N_("the signature certificate"),
        "certificate.technical": N_("the technical certificate"),
        "OU": N_("the organisation's identifier (OU)"),
    }
}


class ReaderError(CarddError):
    """The reader side does not work."""

    status = 503
    retryable = True


class PcscUnavailable(ReaderError):
    """The PC/SC service (pcscd) does not answer."""

    code = "reader.pcsc_unavailable"
    title = N_("Reader service unavailable")
    detail = N_("The PC/SC service (pcscd) does not answer.")
    remedy = N_("Install or start pcscd (“sudo systemctl start pcscd.socket”); “cardctl doctor” tells more.")

    why: str = ""


class LentReadersUnavailable(PcscUnavailable):
    """The PC/SC service of a remote desktop's session does not answer."""

    detail = N_("The readers of the remote desktop do not answer.")
    remedy = N_(
        "Log out of the remote desktop and connect again, with the readers handed over; “cardctl doctor remote” and "
        "“cardctl doctor lending”, in the session, tell more."
    )


class ReaderGone(ReaderError):
    """The reader was unplugged during the operation."""

    code = "reader.gone"
    title = N_("Reader unplugged")
    detail = N_("The reader “{reader}” was unplugged during the operation.")
    remedy = N_("Plug it in again, then try again.")

    reader: str


class ReaderBusy(ReaderError):
    """Another program holds the card for itself."""

    code = "reader.busy"
    title = N_("Card in use")
    detail = N_("The card in “{reader}” is in use. {who}")
    remedy = N_("Close the other program or wait until it has finished, then try again.")
    words = _WHO

    reader: str
    who: str = "unknown"
    program: str = ""
    pid: int = 0
    user: str = ""

    def __init__(self, **params: Param | None) -> None:
        super().__init__(**{"who": "unknown", **params})


class ReaderNotYours(ReaderError):
    """The caller's OS user does not own the readers now, and has no session on the card."""

    code = "reader.not_yours"
    status = 403
    title = N_("Readers of another user")
    detail = N_("The readers and cards belong to whoever sits at this workstation, which this user does not.")
    remedy = N_(
        "Log in at the workstation's own screen. A remote user or a service is named by an administrator in the "
        "configuration (access.owners). Of the readers of a remote desktop “cardctl doctor lending” tells more."
    )


class ModuleFailed(ReaderError):
    """A PKCS#11 module's process ended, crashed or hung; it is started anew."""

    code = "module.failed"
    title = N_("PKCS#11 module failed")
    detail = N_("The module “{module}” ended or no longer answers ({why}). It is started anew.")
    remedy = N_(
        "Try again. If it happens again, update the module, name the files that it needs in drivers.pkcs11.files, or"
        " take it out of the configuration."
    )

    module: str
    why: str


class CardError(CarddError):
    """The card does not allow this."""

    status = 409


class CardUnknown(CardError):
    """No such card is inserted."""

    code = "card.unknown"
    status = 404
    title = N_("Unknown card")
    detail = N_("The card {card} is not inserted; its identifier changes with each insertion.")
    remedy = N_("Ask for the list of cards (GET /v1/cards), then try again.")

    card: str


class CardAbsent(CardError):
    """No card that could serve is inserted."""

    code = "card.absent"
    retryable = True
    title = N_("No card")
    detail = N_("No professional's card is inserted.")
    remedy = N_("Insert your card into the reader.")


class CardInUse(CardError):
    """Another user of this machine opened a session with the card while its PIN, or a new one, was asked for."""

    code = "card.in_use"
    retryable = True
    title = N_("Card in use")
    detail = N_("Another user of this machine opened a session with this card meanwhile.")
    remedy = N_("Start again: the dialog then says that your PIN ends their session.")


class CardAmbiguous(CardError):
    """Several cards could serve and none was named; ``cards`` lists their identifiers."""

    code = "card.ambiguous"
    title = N_("Several cards")
    detail = N_("{count} cards are inserted and none was named.")
    remedy = N_("Name the card by its identifier, or take the others out.")

    count: int

    def __init__(self, cards: tuple[str, ...]) -> None:
        super().__init__(count=len(cards))
        self.cards = cards


class CardRemoved(CardError):
    """The card left the reader during the operation. Nothing was signed."""

    code = "card.removed"
    retryable = True
    title = N_("Card taken out")
    detail = N_("The card was taken out during the operation; nothing was signed.")
    remedy = N_("Put the card back, then start again.")

    reader: str | None = None


class CardReset(CardError):
    """Another program reset the card during the operation."""

    code = "card.reset"
    retryable = True
    title = N_("Card reset")
    detail = N_("Another program reset the card during the operation.")
    remedy = N_("Try again.")


class CardUnrecognised(CardError):
    """No driver knows this card."""

    code = "card.unrecognised"
    status = 422
    title = N_("Card not recognised")
    detail = N_("No driver knows this card (ATR {atr}).")
    remedy = N_("Check that it is a CPx card; if so, give the ATR to support.")

    atr: str


class CardIsVitale(CardError):
    """The card is a patient's (carte Vitale), not a professional's."""

    code = "card.vitale"
    status = 422
    title = N_("Vitale card")
    detail = N_("The inserted card is a patient's card (carte Vitale).")
    remedy = N_("Insert your professional's card, in the other slot if the reader has two.")


class CardContactless(CardError):
    """The card is read without contact: it tells what card it is, and has no key of its holder's to offer."""

    code = "card.contactless"
    status = 422
    title = N_("Card read without contact")
    detail = N_("Without contact, a CPS card only identifies itself; it opens no session.")
    remedy = N_("Insert the card, chip first, into a contact reader.")


class CardUnsupported(CardError):
    """The card is a CPx card of a generation that cardd does not serve."""

    code = "card.unsupported"
    status = 422
    title = N_("Card generation not supported")
    detail = N_("This card ({kind}) is of a generation that cardd does not support.")
    remedy = N_("Use your current card (CPS3 or CPS4); ask ANS for one if you have none.")

    kind: str


class CardMute(CardError):
    """The card does not answer: badly inserted, dirty or broken."""

    code = "card.mute"
    status = 502
    retryable = True
    title = N_("Mute card")
    detail = N_("The card does not answer.")
    remedy = N_("Take the card out, check which way round it goes, clean its chip, then insert it again.")


class CardTimeout(CardError):
    """The card took longer than any known card does."""

    code = "card.timeout"
    status = 504
    retryable = True
    title = N_("Card too slow")
    detail = N_("The card did not answer within {seconds} s.")
    remedy = N_("Take the card out and insert it again, then try again.")

    seconds: int


class CardGarbled(CardError):
    """The card answered something that no specification allows."""

    code = "card.garbled"
    status = 502
    title = N_("Garbled answer")
    detail = N_("The card gave an answer that makes no sense ({what}).")
    remedy = N_("Take the card out and insert it again; if it comes back, try another reader.")
    words = _GARBLED

    what: str  # one of these words


class CardRefused(CardError):
    """The card refused a command."""

    code = "card.refused"
    status = 502
    title = N_("Command refused")
    detail = N_("The card refused a command ({command}, {sw}).")
    remedy = N_("Try again. If it comes back, give these two values to support.")

    command: str
    sw: str  # status word, four hex digits


class PinRequired(CardError):
    """The card wants the PIN first (6982): its login was lost to another program."""

    code = "card.pin_required"
    retryable = True
    title = N_("PIN needed again")
    detail = N_("The card wants the PIN again.")
    remedy = N_("Try again: the PIN will be asked for.")


class CardIncomplete(CardError):
    """The card lacks the key or the certificate that the operation needs."""

    code = "card.incomplete"
    status = 422
    title = N_("Incomplete card")
    detail = N_("The card lacks what the operation needs ({what}).")
    remedy = N_("Check that the card is meant for this use; if it is, ask ANS.")
    words = _LACKING

    what: str  # one of these words


class HolderUnknown(CardError):
    """The card's certificate has no national identifier: there is nobody to speak for."""

    code = "card.holder_unknown"
    status = 422
    title = N_("No national identifier")
    detail = N_("The card's certificate has no national identifier (RPPS, ADELI, …), so that nobody is named by it.")
    remedy = N_(
        "Use a professional's card (CPS, CPF, CPE or CPA). If this is one, give support its certificate's name."
    )


class KeysUnusable(CardError):
    """The card's keys are of kinds with which cardd signs nothing. No PIN was asked for."""

    code = "card.keys_unusable"
    status = 422
    title = N_("No usable key")
    detail = N_("The keys of this card are of a kind that cardd cannot use ({kinds}). The PIN was not asked for.")
    remedy = N_("Have a key of RSA or P-256 put on the card, or use another card.")

    kinds: str


class AlgorithmUnsupported(CardError):
    """The card's key cannot sign this way."""

    code = "signature.algorithm"
    status = 422
    title = N_("Algorithm not supported")
    detail = N_("The card's key cannot sign this way ({algorithm}).")
    remedy = N_("Choose another algorithm, or send the document in place of its digest.")

    algorithm: str


class SignatureLost(CardError):
    """What was signed under this Idempotency-Key can no longer be given."""

    code = "signature.lost"
    title = N_("Signed, and the result is lost")
    detail = N_(
        "This request was signed before (row {row} of the audit log), and the result can no longer be given: the card "
        "was not asked again."
    )
    remedy = N_("Ask the person whether to sign again; send the request with a new Idempotency-Key then.")

    row: int


class SignatureInvalid(CardError):
    """The card's signature does not verify with its own certificate; it was thrown away."""

    code = "signature.invalid"
    status = 502
    retryable = True
    title = N_("Signature thrown away")
    detail = N_("The card's signature does not match its certificate; it was destroyed.")
    remedy = N_("Try again. If it comes back, take the card out, insert it again and tell support.")
