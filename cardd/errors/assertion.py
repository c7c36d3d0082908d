"""The assertion (VIHF, INSi) would not be true, or would not be accepted."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

# what only the caller knows of a call to INSi
_CALL: Words = {
    "what": {
        "billing": N_("billing (the practice's billing identifier)"),
        "specialty": N_("specialty (the Assurance Maladie's code, which a doctor must give)"),
    }
}


class AssertionRefused(CarddError):
    """The assertion asked for would not be true, or would not be accepted: none is made."""

    status = 422


class AssertionProfileUnknown(AssertionRefused):
    """No DMP profile has this name."""

    code = "assertion.profile"
    title = N_("Unknown DMP profile")
    detail = N_('No DMP profile is called "{profile}".')
    remedy = N_("Choose one of these: {known}.")

    profile: str
    known: str


class AssertionPointInvalid(AssertionRefused):
    """A profile's point cannot have this value."""

    code = "assertion.profile_point"
    title = N_("DMP profile badly set")
    detail = N_('The point "{point}" of the DMP profile cannot have this value.')
    remedy = N_("Choose among: {known}.")

    point: str
    known: str


class AssertionRegistrationIncomplete(AssertionRefused):
    """The practice software's registration lacks a value."""

    code = "assertion.registration"
    title = N_("Software registration incomplete")
    detail = N_('The software\'s registration lacks the value "{what}".')
    remedy = N_("Complete the software's registration in the configuration; its publisher knows these values.")

    what: str


class AssertionValueInvalid(AssertionRefused):
    """A value cannot stand in an assertion: empty, too long, or of the wrong form."""

    code = "assertion.value"
    title = N_("Value refused")
    detail = N_('The value "{what}" is empty, too long, or not of the form that is wanted.')
    remedy = N_("Correct this value in the request or in the configuration.")
    words = _CALL

    what: str


class AssertionInsFormat(AssertionRefused):
    """The INS has not 13 characters and a key of two digits."""

    code = "assertion.ins_format"
    title = N_("Malformed INS")
    detail = N_("The INS is not a number followed by its key (15 characters).")
    remedy = N_("Take the INS as the INSi service gives it, without spaces.")


class AssertionInsKey(AssertionRefused):
    """The INS's key does not fit: a digit is wrong."""

    code = "assertion.ins_key"
    title = N_("Wrong key of the INS")
    detail = N_("The key does not fit the INS number: a digit is wrong.")
    remedy = N_("Check the patient's INS; do not correct the key by hand.")


class AssertionInsOid(AssertionRefused):
    """This OID is no INS's."""

    code = "assertion.ins_oid"
    title = N_("Unknown OID of an INS")
    detail = N_("The OID {oid} is not that of an INS.")
    remedy = N_("Give the OID that came from the INSi service; those that exist: {known}.")

    oid: str
    known: str


class AssertionNationalIdInvalid(AssertionRefused):
    """The identity has no national identifier, or one of no known form."""

    code = "assertion.national_id"
    title = N_("National identifier missing or wrong")
    detail = N_("The identity has no well-formed national identifier of a professional.")
    remedy = N_("Use the professional's card or login; if it is up to date, tell ANS.")


class AssertionRoleMissing(AssertionRefused):
    """Neither card nor login names a profession, and the request chose no role."""

    code = "assertion.role_missing"
    title = N_("Role missing")
    detail = N_("Neither the card nor the login tells a profession, and the request tells no role.")
    remedy = N_('Tell the person\'s role in the request ("role").')


class AssertionRoleUnknown(AssertionRefused):
    """The role is in no table for such roles, or the person has a profession."""

    code = "assertion.role"
    title = N_("Role refused")
    detail = N_('The role "{role}" does not exist, or the person already has a profession.')
    remedy = N_(
        "Tell a role only for a person without profession, with a code of the tables A00, R94 or R95; G16, in "
        "training, with a CPF card or an organisation's certificate."
    )

    role: str


class AssertionExpertiseMissing(AssertionRefused):
    """A doctor's savoir-faire is told by neither card nor login."""

    code = "assertion.expertise"
    title = N_("Savoir-faire missing")
    detail = N_("The DMP wants a doctor's savoir-faire; neither the card nor the login tells it.")
    remedy = N_("Log in through Pro Santé Connect and pick the situation, or have ANS correct the card.")


class AssertionSectionMissing(AssertionRefused):
    """A pharmacist's section is told by nobody, or by two who differ."""

    code = "assertion.section"
    title = N_("Section missing")
    detail = N_("The DMP wants a pharmacist's section; it is not told, or told in two ways.")
    remedy = N_('Tell the section of table G05 in the request ("section"), the situation\'s own if it has one.')


class AssertionCodeUnknown(AssertionRefused):
    """The words for a code are not known."""

    code = "assertion.code"
    title = N_("Code without words")
    detail = N_("The words for the code {value} of the table {table} are not known.")
    remedy = N_("Check the code; if it is new, add its words to dmp.labels in the configuration.")

    table: str
    value: str


class AssertionStructureMissing(AssertionRefused):
    """No structure, or one whose identifier has no known form."""

    code = "assertion.structure"
    title = N_("Structure missing")
    detail = N_("The identifier of the place of practice is absent or malformed.")
    remedy = N_("Pick a situation that names the structure, or check the organisation's certificate.")


class AssertionSectorMissing(AssertionRefused):
    """No sector of activity, or none of the form SAxx."""

    code = "assertion.sector"
    title = N_("Sector of activity missing")
    detail = N_("The situation of practice tells no sector of activity (SAxx).")
    remedy = N_(
        'Pick a situation that tells the sector; with the organisation\'s certificate, the request tells it ("sector").'
    )


class AssertionIdentityDeclared(AssertionRefused):
    """The practice software told who the person is, and this mode wants proof."""

    code = "assertion.identity_declared"
    title = N_("Identity not proven")
    detail = N_("This mode wants a proven identity; this one is declared by the software.")
    remedy = N_("Log the person in with the card or through Pro Santé Connect, or use the indirect mode.")


class AssertionLoginUnfit(AssertionRefused):
    """This means of login cannot carry this mode."""

    code = "assertion.login"
    title = N_("Login does not fit")
    detail = N_('A login of the kind "{means}" does not allow the mode "{mode}".')
    remedy = N_("Log in another way, or choose another mode.")

    means: str
    mode: str


class AssertionOrganisationMissing(AssertionRefused):
    """The mode needs the organisation's signature certificate."""

    code = "assertion.organisation"
    title = N_("Organisation's certificate missing")
    detail = N_("This mode needs the organisation's signature certificate (ORG_SIGN).")
    remedy = N_("Configure that certificate, or choose the direct mode with the card.")


class AssertionSignerOther(AssertionRefused):
    """The signing certificate is somebody else's."""

    code = "assertion.signer"
    title = N_("Somebody else's certificate")
    detail = N_("The certificate that is to sign is not that of the person or organisation named.")
    remedy = N_("Insert the card of the person who logged in, or configure the right organisation's certificate.")


class AssertionCardType(AssertionRefused):
    """The certificate does not tell the card's type (CPS, CPF, CPE, CPA)."""

    code = "assertion.card_type"
    title = N_("Unknown type of card")
    detail = N_("The certificate does not tell the type of the card (CPS, CPF, CPE or CPA).")
    remedy = N_("Use a CPx card; if this is one, tell ANS.")


class AssertionNoneNeeded(AssertionRefused):
    """This service takes no assertion in this mode: the TLS certificate suffices."""

    code = "assertion.none_needed"
    title = N_("No assertion in this mode")
    detail = N_("With a software certificate, INSi wants no assertion: the TLS connection suffices.")
    remedy = N_("Call INSi with the organisation's certificate, without an assertion.")


class AssertionLate(AssertionRefused):
    """The signature came after the assertion's life had ended."""

    code = "assertion.late"
    status = 409
    retryable = True
    title = N_("Signature came too late")
    detail = N_("The signature came after the assertion's {seconds} s of life; it was thrown away.")
    remedy = N_("Try again.")

    seconds: int
