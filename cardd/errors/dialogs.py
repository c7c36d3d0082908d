"""Dialogs: the person could not be asked, did not agree, or gave no good PIN."""

from __future__ import annotations

from cardd.errors.base import CarddError
from cardd.i18n import N_


class ConsentError(CarddError):
    """The user did not agree."""

    status = 403


class ConsentRefused(ConsentError):
    """The user said no."""

    code = "consent.refused"
    title = N_("Refused by the user")
    detail = N_("The user did not agree; nothing was signed.")
    remedy = N_("If that was a mistake, start again and accept.")


class ConsentTimeout(ConsentError):
    """The user did not answer in time."""

    code = "consent.timeout"
    retryable = True
    title = N_("No answer")
    detail = N_("The user did not answer in time; nothing was signed.")
    remedy = N_("Start again and answer the window that opens.")


class RefusedTooOften(ConsentError):
    """This program's dialogs were refused, left unanswered or taken back several times in a short while."""

    code = "consent.refused_often"
    status = 429
    retryable = True
    title = N_("Refused several times")
    detail = N_(
        "This program's questions were refused, left without an answer or taken back {times} times in a short while."
    )
    remedy = N_("Wait {retry_after} s before the user is asked again.")

    times: int
    retry_after: int  # seconds


class BatchExhausted(ConsentError):
    """A named batch asks for more signatures than were agreed to."""

    code = "consent.batch_exhausted"
    title = N_("Batch used up")
    detail = N_("The consent given for the batch “{batch}” does not cover that many signatures.")
    remedy = N_("Give the next batch another name: the user will be asked again.")

    batch: str


class PromptError(CarddError):
    """The user could not be asked."""

    status = 503
    retryable = True


class PromptUnavailable(PromptError):
    """No agent is registered for this user and no pinentry can be started."""

    code = "prompt.unavailable"
    title = N_("The user cannot be asked")
    detail = N_("No dialog can be opened for this user: {why}.")
    remedy = N_(
        "Start cardd-agent in the user's desktop session, or install a pinentry program; “cardctl doctor” tells what "
        "is missing."
    )

    why: str


class PromptBusy(PromptError):
    """A program has as many questions waiting for the user's answer as it may have."""

    code = "prompt.busy"
    title = N_("A dialog is already open")
    detail = N_("{waiting} requests of this program already wait for this user's answer.")
    remedy = N_("Answer the open dialog, then try again.")

    waiting: int


class PinError(CarddError):
    """The PIN was not accepted, or could not be had."""

    status = 403


class PinCancelled(PinError):
    """The user closed the PIN dialog."""

    code = "pin.cancelled"
    title = N_("PIN entry cancelled")
    detail = N_("The entry of the PIN was cancelled.")
    remedy = N_("Start again and enter the PIN.")


class PinTimeout(PinError):
    """The PIN dialog stayed open too long."""

    code = "pin.timeout"
    retryable = True
    title = N_("PIN entry timed out")
    detail = N_("The PIN was not entered in time.")
    remedy = N_("Start again and enter the PIN.")


class PinWrong(PinError):
    """The card refused the PIN."""

    code = "pin.wrong"
    retryable = True
    title = N_("Wrong PIN")
    detail = N_("The card refused the PIN. Tries left: {tries_left}.")
    remedy = N_("Check the PIN before you try again: the card blocks after the last try.")

    tries_left: int | None = None


class PinRefused(PinWrong):
    """A token or key file refused the PIN or password, and tells no tries left."""

    code = "pin.refused"
    title = N_("Wrong PIN or password")
    detail = N_("The token or key file refused the code.")
    remedy = N_("Check the code before you try again: a token may block itself without a warning.")


class PinBlocked(PinError):
    """The card accepts no PIN any more until it is unblocked."""

    code = "pin.blocked"
    title = N_("PIN blocked")
    detail = N_("The card accepts no PIN any more.")
    remedy = N_("Unblock the card with its unblocking code, or ask ANS for it.")


class PinUnchangeable(PinError):
    """This PIN cannot be changed or unblocked here: the card or token does not offer it, or its keypad does not."""

    code = "pin.unchangeable"
    status = 409
    title = N_("PIN cannot be changed here")
    detail = N_("This card, or this reader's keypad, does not let the PIN be changed here.")
    remedy = N_("Use a reader without keypad, or the tool that came with the card or module.")


class PukWrong(PinError):
    """The card refused the unblocking code."""

    code = "puk.wrong"
    retryable = True
    title = N_("Wrong unblocking code")
    detail = N_("The card refused the unblocking code. Tries left: {tries_left}.")
    remedy = N_("Check the code in the card's letter before you try again.")

    tries_left: int | None = None


class PukRefused(PukWrong):
    """A token refused the unblocking code, and tells no tries left."""

    detail = N_("The card refused the unblocking code.")


class PukBlocked(PinError):
    """The card accepts no unblocking code any more."""

    code = "puk.blocked"
    title = N_("Unblocking code blocked")
    detail = N_("The card accepts no unblocking code any more.")
    remedy = N_("Ask ANS what to do about this card.")


class LastTryRefused(PinError):
    """One try is left and the user did not want to spend it."""

    code = "pin.last_try"
    title = N_("Last try kept")
    detail = N_("One try is left, and the user did not want to risk it.")
    remedy = N_("Be sure of the PIN before you start again.")

    tries_left: int


class PinBackOff(PinError):
    """Too many wrong codes: of this program, on this card, or on this workstation."""

    code = "pin.back_off"
    status = 429
    retryable = True
    title = N_("Too many wrong PINs")
    detail = N_("Several wrong codes were entered, for this program, this card or on this workstation.")
    remedy = N_("Wait {retry_after} s, then try again.")

    retry_after: int  # seconds


class NewPinRefused(PinError):
    """A token took the code that was to allow it, and not the new PIN."""

    code = "pin.new_refused"
    status = 422
    retryable = True
    title = N_("New PIN refused")
    detail = N_("The token accepted the first code and refused the new PIN; nothing was changed.")
    remedy = N_("Choose another one, of {minimum} to {maximum} characters.")

    minimum: int
    maximum: int


class PinFormat(PinError):
    """What was typed cannot be right, by its length or characters, and nothing else was typed. It was not sent."""

    code = "pin.format"
    status = 422
    retryable = True
    title = N_("Impossible PIN")
    detail = N_(
        "What was typed has not the length ({minimum} to {maximum}) or the characters of such a code; nothing was sent "
        "to the card."
    )
    remedy = N_("Start again and enter the code; a card's has digits only.")

    minimum: int
    maximum: int
