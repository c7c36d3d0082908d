"""What a person is told beside dialogs: a notification on the desktop, by which the status page opens.

The agent has a connection of its own for this, where it says ``OK cardd-agent-notices LANGUAGE``. The daemon sends a
topic and what fills its sentence; the agent shows it. Where the person chooses it, the agent sends ``OPEN`` and gets
the page's address, which serves once. Nothing is agreed to here: that is what dialogs are for.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from cardd.agent.lines import Line, Say, listen
from cardd.agent.texts import clean
from cardd.i18n import N_, Domain

GREETING = "cardd-agent-notices"
OPEN = "OPEN"
PLACE = re.compile(r"{(\w+)}", re.ASCII)
LINK = re.compile(r"http://cardd-[0-9a-f]+\.localhost:[0-9]+/#[\w-]+", re.ASCII)  # the status page and nothing else

_ = Domain("dialogs")
log = logging.getLogger(__name__)

SEE = N_("See the status page")
BY_COMMAND = N_("“cardctl open” opens the status page.")
ENDED = N_("The session of “{client}” has ended")
# by topic: the title, and what else is said
SENTENCES = {
    "let_in": (
        N_("“{client}” may now ask for your card"),
        N_("If you do not know it, revoke it on the status page."),
    ),
    "unanswered": (
        N_("“{client}” asked to be let in, and nobody answered"),
        N_("If you use it, have it ask again. If it asks again and again, tell your support."),
    ),
    "card_in": (N_("Your card is ready"), N_("Card {card}, reader “{reader}”.")),
    "pin_tries": (
        N_("Wrong PIN; tries left: {tries_left}"),
        N_("Card {card}, reader “{reader}”. The card blocks after the last try; the right PIN gives all of them back."),
    ),
    "pin_blocked": (
        N_("The card accepts no PIN any more"),
        N_("Card {card}, reader “{reader}”. Unblock it with its unblocking code on the status page."),
    ),
    "certificate_soon": (
        N_("Your certificate ends soon; days left: {days}"),
        N_("Reader “{reader}”. Make sure that a new one is on its way, or tell your support."),
    ),
    "certificate_ended": (
        N_("Your certificate has ended"),
        N_("Reader “{reader}”. What you sign with it may be refused: ask for a new one, or tell your support."),
    ),
    "session_asks_again": (
        N_("The session of “{client}” is locked"),
        N_("The card's next use asks for your PIN."),
    ),
    "session_locked": (ENDED, N_("It was locked: by you, by your screen or because the machine slept.")),
    "session_idle": (ENDED, N_("It was not used for too long.")),
    "session_max_age": (ENDED, N_("It was open for as long as a session may be.")),
    "session_card_removed": (ENDED, N_("Its card was taken out.")),
    "session_readers_gone": (ENDED, N_("The service of the card readers has stopped.")),
    "session_provider_ended": (ENDED, N_("Pro Santé Connect has ended it.")),
    "session_taken_over": (ENDED, N_("Another user of this machine has taken the card over, with its PIN.")),
}
REPLACING = ("card_in", "pin_tries")  # the one before says nothing any more


class Shower(Protocol):
    """The desktop's notifications, and its browser."""

    async def show(
        self, title: str, sentence: str, label: str, otherwise: str, chosen: Callable[[], None], *, replaces: str = ""
    ) -> None:
        """Show it with a button, or with ``otherwise``; call ``chosen`` when it is pressed.

        With ``replaces`` it takes the place of the one before that has the same. Raises OSError where there are none.
        """
        ...

    async def open(self, address: str) -> None:
        """Show a page in the person's browser."""
        ...


class Notices:
    """The daemon's end, for one desktop; ``link`` returns the status page's address for its user, None without one."""

    def __init__(self, connection: socket.socket, link: Callable[[], str | None]) -> None:
        self._line = Line(connection, self._heard)
        self._link = link

    def tell(self, topic: str, params: Mapping[str, str]) -> bool:
        """Have this shown; return whether the agent listens. Nobody waits for one that does not."""
        return self._line.tell({"topic": topic, "params": dict(params)})

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _heard(self, said: list[str]) -> None:
        """Give a link when the person chose a notification, once for all that came at once."""
        if OPEN in said and (link := self._link()):
            self._line.tell({"link": link})


async def announce(path: Path, language: str, shower: Shower) -> None:
    """Show what the daemon tells, as the agent, until it leaves. Raises OSError, ValueError."""
    await listen(path, GREETING, language, partial(heard, language, shower))


async def heard(language: str, shower: Shower, told: Mapping[str, object], say: Say) -> None:
    """Show one thing that the daemon told."""
    topic, params = told.get("topic"), told.get("params")
    if link := page_of(told):
        await in_peace(shower.open(link))
    elif isinstance(topic, str) and topic in SENTENCES and isinstance(params, dict) and _needs(topic) <= params.keys():
        filled = clean({str(name): str(value) for name, value in params.items()})
        title, sentence = (_(text, language, **filled) for text in SENTENCES[topic])
        buttons, replaces = (_(SEE, language), _(BY_COMMAND, language)), topic if topic in REPLACING else ""
        await in_peace(shower.show(title, sentence, *buttons, partial(say, OPEN), replaces=replaces))


def page_of(told: Mapping[str, object]) -> str:
    """Return the status page's address that the daemon gives; empty for what is none."""
    link = told.get("link")
    return link if isinstance(link, str) and LINK.fullmatch(link) else ""


def _needs(topic: str) -> set[str]:
    """Return what the sentences have places for."""
    return {name for sentence in SENTENCES[topic] for name in PLACE.findall(sentence)}


async def in_peace(work: Awaitable[None]) -> None:
    """Do it; a desktop that cannot is no reason to hang up."""
    try:
        await work
    except OSError as why:
        log.info("no notification: %s", why)
