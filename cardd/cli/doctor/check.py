"""What a check is, what it may find, and how that is told. Every finding is declared once, with code and sentences.

docs/troubleshooting.md and its French page are made of these declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING

from cardd.cli.failures import sentences
from cardd.cli.wording import typed
from cardd.errors import CarddError
from cardd.i18n import N_, Domain
from cardd.model import shown
from cardd.values import Value, replace

if TYPE_CHECKING:
    from cardd.cli.doctor.surroundings import Surroundings

Params = dict[str, str | int]
MOST_SHOWN = 200  # characters of a value in a sentence, which is read aloud
OURS = str.maketrans(dict.fromkeys("“”«»→", "'"))  # what doctor's own commands and remedies stand between

_ = Domain("doctor")

# why a check cannot be made, or need not be
REASONS = {
    "no_pcscd": N_("Not checked: the reader service does not answer."),
    "no_pcscd_needed": N_("Not looked at: what is used here needs no pcscd."),
    "no_reader": N_("Not checked: there is no reader."),
    "no_card": N_("Not checked: there is no professional's card in a reader."),
    "no_daemon": N_("Not checked: cardd does not answer."),
    "not_yours": N_(
        "Not checked: the readers belong to whoever sits at this workstation. Ask at its screen, or as root "
        "(“sudo cardctl doctor”)."
    ),
    "no_port": N_("Not checked: the configuration leaves the port to the system."),
    "no_https": N_("Not looked at: the API is not served over https."),
    "no_rights": N_("Not checked: only root, or cardd itself, may look (“sudo cardctl doctor”)."),
    "no_network": N_("Not looked at: the configuration names no other machine."),
    "no_unit": N_("Not looked at: cardd does not run as a service of systemd."),
    "no_psc": N_("Not looked at: no Pro Santé Connect is configured."),
    "no_support": N_("Not looked at: no codes of support are demanded here."),
    "no_socket": N_("Not looked at: cardd tells it on its Unix socket only."),
    "no_polkit": N_("Not looked at: pcscd asks no polkit here, or cardd is no service of this machine."),
    "no_usb_reader": N_("Not looked at: no USB device says that it is a smart card reader."),
    "held": N_("Not checked: another program holds the card."),
    "no_state": N_("Not looked at: cardd has kept nothing on this machine yet."),
    "own_dialogs": N_("Not looked at: cardd runs as this user, and shows its dialogs itself."),
    "service_secrets": N_("Not looked at: the service has credentials of systemd, and no keyring."),
    "no_proxy": N_("Not looked at: no proxy is configured, and this desktop has none."),
    "by_proxy": N_("Not looked at: the network's proxy leads there, and has a check of its own."),
    "no_authorities": N_("Not looked at: the configuration names no authorities."),
    "offline": N_("Not looked at: the configuration wants nobody to be asked (trust.revocation)."),
    "no_revocation": N_("Not looked at: the card's certificates name nobody who tells it."),
    "no_sites": N_("Not looked at: the configuration names no site, or no browser is installed."),
    "no_p11": N_("Not looked at: PKCS#11 is switched off ([p11] enabled)."),
    "no_modules": N_("Not looked at: the configuration names no PKCS#11 module."),
    "no_remote": N_("Not looked at: this session has no PC/SC socket of its own, as remote desktops have."),
    "own_readers": N_("Not looked at: cardd runs as this user, and uses this session's PC/SC itself."),
    "no_organisation": N_("Not looked at: no certificate of an organisation is configured."),
}


class Level(StrEnum):
    """How a check ended, the worst first. ``skipped`` is no verdict: what the check needs is not there."""

    FAILURE = "failure"
    WARNING = "warning"
    OK = "ok"
    SKIPPED = "skipped"


class Outcome(Value):
    """One thing that a check may find; ``sentence`` and ``remedy`` are English, with places for params.

    The remedy holds whole commands: what stands in its places is one word to a shell, whatever it is.
    What ``is_minor`` may be meant so: it is the likely cause only where nothing else is found. ``fix`` is a command
    that puts it right and harms nothing; ``as_root`` says what else it does where root runs it.
    """

    code: str
    level: Level
    sentence: str
    remedy: str = ""
    is_minor: bool = False
    fix: tuple[str, ...] = ()
    as_root: str = ""

    def __call__(self, **params: str | int) -> Finding:
        """Return that this was found."""
        return Finding(self, params)

    def as_failure(self) -> Outcome:
        """Return the outcome for where it keeps something from working."""
        return replace(self, level=Level.FAILURE)


class Finding(Value):
    """An outcome, and the params that fill its sentences and its fix."""

    outcome: Outcome
    params: Params

    @property
    def fix(self) -> list[str]:
        """Return the command that puts it right; empty where none does."""
        return [part.format(**self.params) for part in self.outcome.fix]


def ok(code: str, sentence: str) -> Outcome:
    """Declare that all is well."""
    return Outcome(code, Level.OK, sentence)


def warning(
    code: str, sentence: str, remedy: str, *, is_minor: bool = False, fix: tuple[str, ...] = (), as_root: str = ""
) -> Outcome:
    """Declare that somebody should look, though it works or may be meant so."""
    return Outcome(code, Level.WARNING, sentence, remedy, is_minor, fix, as_root)


def failure(
    code: str, sentence: str, remedy: str, *, is_minor: bool = False, fix: tuple[str, ...] = (), as_root: str = ""
) -> Outcome:
    """Declare that something does not work."""
    return Outcome(code, Level.FAILURE, sentence, remedy, is_minor, fix, as_root)


LATE = failure(
    "late",
    N_("No result within {seconds} s."),
    N_(
        "Ask for this check alone, and it has more time: “cardctl doctor {check}”. If it comes back, unplug the reader "
        "and plug it in again."
    ),
    is_minor=True,
)
FAULT = failure("fault", N_("The check itself failed ({why})."), N_("Give this line to support."), is_minor=True)

Look = Callable[["Surroundings"], Finding | Coroutine[None, None, Finding]]


class Check(Value):
    """One check: what it looks at, in English, and the function that looks, on a thread of its own."""

    title: str
    look: Look


class Result(Value):
    """One check's end. ``code`` is for programs and support; an ``error`` of cardd's own is told in its own words."""

    name: str
    check: Check
    code: str
    finding: Finding
    error: CarddError | None = None

    @property
    def level(self) -> Level:
        """How the check ended."""
        return self.finding.outcome.level

    @property
    def params(self) -> Params:
        """What fills the sentence."""
        return self.finding.params

    def title(self, language: str) -> str:
        """Return what was looked at."""
        return _(self.check.title, language)

    def sentence(self, language: str) -> str:
        """Return what was found."""
        if self.error:
            return _quiet(self.error, sentences(self.error, language)[1])
        return _(self.finding.outcome.sentence, language, **{name: _short(told) for name, told in self.params.items()})

    def remedy(self, language: str) -> str:
        """Return what to do; empty when there is nothing to do."""
        if self.error:
            return _quiet(self.error, sentences(self.error, language)[2])
        return _(self.finding.outcome.remedy, language, **{name: typed(told) for name, told in self.params.items()})


def _quiet(error: CarddError, text: str) -> str:
    """Return an error's sentence, in which names that others chose, as in a certificate, begin no remedy either."""
    names = {name for name in error.params.values() if isinstance(name, str) and name.translate(OURS) != name}
    for name in names - {error.params.get(own) for own in ("title", "detail", "remedy")}:
        text = text.replace(name, _short(name))
    return text


def _short(told: str | int) -> str:
    """Return a value as a sentence has it: what somebody chose leaves the rest readable, and begins no remedy."""
    text = shown(str(told)).translate(OURS)
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[: MOST_SHOWN // 2]}…{text[-MOST_SHOWN // 2 :]}"
