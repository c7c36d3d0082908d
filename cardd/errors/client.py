"""The calling program, page or user may not do this: pairing, permissions, codes of support."""

from __future__ import annotations

from cardd.errors.base import CarddError
from cardd.i18n import N_


class ClientError(CarddError):
    """The calling program or page may not do this."""

    status = 403


class ClientUnknown(ClientError):
    """No client secret, or one that no paired client has."""

    code = "client.unknown"
    status = 401
    title = N_("Program not paired")
    detail = N_("This program is not paired with cardd, or no longer.")
    remedy = N_("Pair it: it calls POST /v1/clients and the user agrees.")


class ClientNotFound(ClientError):
    """The request names a client that is not there, or not the caller's."""

    code = "client.not_found"
    status = 404
    title = N_("No such client")
    detail = N_("No program and no site of yours has this identifier.")
    remedy = N_("The list of clients has the identifiers (“cardctl clients”).")


class ClientLocked(ClientError):
    """The program is paired, but was locked; with a code of support, where those are demanded, it is unlocked."""

    code = "client.locked"
    status = 403
    title = N_("Program locked")
    detail = N_("This program is paired, but was locked on this workstation.")
    remedy = N_("Support unlocks it with you: “cardctl clients unlock ID”.")


class ProgramNotFound(ClientError):
    """The request names a program that the user has not let use the card through PKCS#11."""

    code = "program.not_found"
    status = 404
    title = N_("No such program")
    detail = N_("You have let no program of this path use your card.")
    remedy = N_("“cardctl programs” lists those that you have let in.")


class ProgramRefused(ClientError):
    """The user did not let a program use the card through PKCS#11."""

    code = "program.refused"
    title = N_("Program refused")
    detail = N_("The user did not let this program use the card: {program}.")
    remedy = N_("Start it again, and agree in the dialog that cardd shows.")

    program: str


class ProgramsOff(ClientError):
    """No other program may use a key of the card, by configuration."""

    code = "program.off"
    title = N_("Other programs are kept out")
    detail = N_("On this workstation no other program uses the card's keys.")
    remedy = N_('Your administrator allows it: programs = "ask" in the section [p11].')


class PairingNotFound(ClientError):
    """No such pairing is waiting, or it ended and its answer was fetched."""

    code = "client.pairing_not_found"
    status = 404
    title = N_("Pairing not found")
    detail = N_("There is no such pairing, or it ended too long ago.")
    remedy = N_("Start the pairing again.")


class PairingRefused(ClientError):
    """The user refused the program, or the dialog timed out."""

    code = "client.pairing_refused"
    title = N_("Pairing refused")
    detail = N_("The user refused this program or site.")
    remedy = N_("If that was a mistake, ask for the pairing again and accept it.")


class SecretUnavailable(ClientError):
    """The client library cannot read or write the file that keeps this program's secret between two runs."""

    code = "client.secret_unavailable"
    title = N_("Client secret not kept")
    detail = N_("The file {file} keeps this program's secret for cardd, and cannot be read or written: {why}.")
    remedy = N_("Let this user write there, remove what stands in the file's place, and start the program again.")

    file: str
    why: str


class SecretExposed(SecretUnavailable):
    """Another user owns the file of this program's secret, or may open it; it was not read."""

    code = "client.secret_exposed"
    title = N_("Client secret open to others")
    detail = N_(
        "The file {file} keeps this program's secret for cardd, and is not this user's alone: its owner is user "
        "{owner}, its mode {mode}."
    )
    remedy = N_(
        "Others may have read the secret. Unpair the program (“cardctl clients”), remove the file, and start the "
        "program again: it asks to be paired."
    )

    why: str = ""
    owner: int
    mode: str


class PermissionMissing(ClientError):
    """The client was not paired for this."""

    code = "client.permission"
    status = 403
    title = N_("Permission not given")
    detail = N_("This program was not paired for this ({permission}).")
    remedy = N_("Pair it again with this permission; the user has to accept it.")

    permission: str


class SupportCodeError(CarddError):
    """What was asked needs a one-time code of support, and did not have it."""

    status = 403


class SupportCodeRequired(SupportCodeError):
    """This workstation demands a code here, and none came."""

    code = "support_code.required"
    title = N_("Support code needed")
    detail = N_("On this workstation support or an administrator must agree to this, with a one-time code.")
    remedy = N_("Ask for the six digits that their phone shows now, and give them.")


class SupportCodeWrong(SupportCodeError):
    """The code is none of this minute; too many wrong ones lock the workstation."""

    code = "support_code.wrong"
    title = N_("Wrong support code")
    detail = N_("This is no code of this minute. Too many wrong ones lock the workstation for a while.")
    remedy = N_(
        "Check that it is the entry of this workstation, that it is the current code, and that the clock is right "
        "(“cardctl doctor clock”)."
    )


class SupportCodeReplayed(SupportCodeError):
    """The code is right and was used before."""

    code = "support_code.replayed"
    title = N_("Support code already used")
    detail = N_("A code serves once, and not after a newer one.")
    remedy = N_("Wait {retry_after} s for the next one.")

    retry_after: int  # seconds until the next code


class SupportCodeLocked(SupportCodeError):
    """Too many wrong codes: none is looked at for a while."""

    code = "support_code.locked"
    status = 429
    retryable = True
    title = N_("Support codes locked")
    detail = N_("Too many wrong codes came from this program or user; none of theirs is looked at for now.")
    remedy = N_("Wait {retry_after} s. If nobody here gave wrong codes, tell your security officer.")

    retry_after: int  # seconds


class SupportNotEnrolled(SupportCodeError):
    """Codes are demanded here and this workstation has none; or no enrolment waits for its first code."""

    code = "support_code.not_enrolled"
    status = 409
    title = N_("Workstation not enrolled")
    detail = N_("Support codes are demanded here, and this workstation has none.")
    remedy = N_("As an administrator: “sudo cardctl support enrol”.")


class SupportCodesOff(SupportCodeError):
    """The configuration demands no codes on this workstation, so there is nothing to enrol."""

    code = "support_code.off"
    status = 409
    title = N_("Support codes are off")
    detail = N_("The configuration demands no support codes on this workstation.")
    remedy = N_("Set totp = true in the section [support], then restart the service: “sudo systemctl restart cardd”.")


class SupportSecretFixed(SupportCodeError):
    """The secret is a credential that systemd passes: the service cannot change or forget it."""

    code = "support_code.fixed"
    status = 409
    title = N_("Secret kept by systemd")
    detail = N_("The secret of the support codes is a credential of systemd, which the service cannot change.")
    remedy = N_(
        "Replace or remove the credential in the service's unit, then “sudo systemctl daemon-reload” and "
        "“sudo systemctl restart cardd”."
    )


class SupportSecretUnreadable(SupportCodeError):
    """The secret at rest is no base32 of 112 bits or more."""

    code = "support_code.unreadable"
    status = 503
    title = N_("Support secret unreadable")
    detail = N_("The secret of the support codes is no base32 text of at least 112 bits.")
    remedy = N_("Make the credential again: “sudo cardctl support enrol --credential FILE”.")


class SupportAdministratorOnly(SupportCodeError):
    """Only root, or the service's own user, may do this: enrol the workstation, see what cards answer."""

    code = "support_code.administrator"
    title = N_("For administrators")
    detail = N_("This is for root and the service's own user only.")
    remedy = N_("Try again with sudo.")
