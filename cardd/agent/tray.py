"""The item in the desktop's tray: how it stands with the person's cards and sessions, and a menu of what they may do.

The agent has a connection of its own for this, where it says ``OK cardd-agent-tray LANGUAGE``. The daemon sends how
it stands, and again when that changes; the agent has the words. What the person chooses in the menu the agent says:
``LOCK``, ``LOGOUT``, ``PIN CARD`` or ``OPEN``. The daemon does it as for the status page, or gives that page's address.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from cardd.agent.lines import Line, Say, listen
from cardd.agent.notices import in_peace, page_of
from cardd.agent.texts import clean
from cardd.i18n import N_, Domain

GREETING = "cardd-agent-tray"
LOCK, LOG_OUT, PIN, OPEN = "LOCK", "LOGOUT", "PIN", "OPEN"
ICONS = Path(__file__).with_name("icons")

_ = Domain("dialogs")

NO_READERS = {
    "unavailable": N_("The service of the card readers does not answer"),
    "not_yours": N_("The card readers belong to whoever sits at this machine"),
}
IN_USE = N_("another user has a session open with it")
CARD = N_("Card {card}, reader “{reader}”")
CARD_BUT = N_("Card {card}, reader “{reader}”: {why}")
SESSION = {
    "active": N_("“{client}”: session open"),
    "locked": N_("“{client}”: session locked"),
    "pending": N_("“{client}”: waits for your mobile"),
}
SUMMARY = {
    "none": N_("No card"),
    "card": N_("A card is in, no session is open"),
    "open": N_("A session is open"),
    "locked": N_("The sessions are locked"),
    "problem": N_("The card cannot be used"),
}
PIN_CHANGED = N_("The PIN is changed")
FIELDS = {"cards": {"id", "kind", "reader", "problem", "in_use", "pin"}, "sessions": {"client", "state", "card"}}

Entry = tuple[str, str]
LINE: Entry = ("", "")


class Item(Protocol):
    """The desktop's tray. What cannot be shown there raises OSError."""

    async def show(self, icon: str, title: str, entries: Sequence[Entry], chosen: Callable[[str], None]) -> None:
        """Show this icon with its menu; an entry is an act and a label. ``chosen`` gets what is pressed."""
        ...

    async def hide(self) -> None:
        """Show nothing any more."""
        ...


class Desktop(Protocol):
    """The desktop's notifications, and its browser."""

    async def tell(self, title: str, sentence: str, *, replaces: str = "") -> None:
        """Show a notification, in the place of the one before that has the same ``replaces``. Raises OSError."""
        ...

    async def open(self, address: str) -> None:
        """Show a page in the person's browser."""
        ...


class Acts(Protocol):
    """What a tray may do for its person."""

    def lock(self) -> None:
        """Lock the person's sessions."""
        ...

    def log_out(self) -> None:
        """End the person's sessions."""
        ...

    def change_pin(self, card: str) -> None:
        """Begin to change a card's PIN, by the daemon's own dialogs."""
        ...

    def close(self) -> None:
        """Do and tell nothing more."""
        ...


Tell = Callable[[Mapping[str, object]], bool]


class TrayLine:
    """The daemon's end, for one desktop; ``link`` returns the status page's address for its user, None without one.

    ``begin`` returns what the tray may do, and has it told how things stand from then on.
    """

    def __init__(
        self, connection: socket.socket, link: Callable[[], str | None], begin: Callable[[Tell], Acts]
    ) -> None:
        self._link = link
        self._line = Line(connection, self._heard, self._left)
        self._acts = begin(self._line.tell)

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _left(self) -> None:
        self._acts.close()

    def _heard(self, said: list[str]) -> None:
        """Do what was chosen, once for all that came at once."""
        for word in dict.fromkeys(said):
            match word.split(" "):
                case ["LOCK"]:
                    self._acts.lock()
                case ["LOGOUT"]:
                    self._acts.log_out()
                case ["PIN", card]:
                    self._acts.change_pin(card)
                case ["OPEN"] if link := self._link():
                    self._line.tell({"link": link})


async def attend(path: Path, language: str, item: Item, desktop: Desktop) -> None:
    """Show what the daemon tells in the tray, as the agent, until it leaves. Raises OSError, ValueError."""
    try:
        await listen(path, GREETING, language, partial(heard, language, item, desktop))
    finally:
        await item.hide()


async def heard(language: str, item: Item, desktop: Desktop, told: Mapping[str, object], say: Say) -> None:
    """Show one thing that the daemon told, or show no item any more. Raises ValueError."""
    if link := page_of(told):
        await in_peace(desktop.open(link))
    elif isinstance(state := told.get("state"), dict):
        icon, title, entries = looks(state, language)
        await in_peace(item.show(icon, title, entries, say))
    elif "state" in told:
        await item.hide()
    elif isinstance(failure := told.get("failure"), list):
        title, sentence = (str(one) for one in failure)
        await in_peace(desktop.tell(title, sentence, replaces=PIN))
    elif told.get("done") == PIN:
        await in_peace(desktop.tell(_(PIN_CHANGED, language), "", replaces=PIN))


def looks(state: Mapping[str, object], language: str) -> tuple[str, str, list[Entry]]:
    """Return the icon, the title and the menu for what the daemon told. Raises ValueError."""
    cards, sessions = _listed(state, "cards"), _listed(state, "sessions")
    readers, states = str(state.get("readers")), {session["state"] for session in sessions}
    summary = _summary(cards, states, readers)
    has_any = bool(cards or sessions)
    title = NO_READERS[readers] if readers in NO_READERS and not has_any else SUMMARY[summary]
    told = [_card(card, language) for card in cards]
    told += [_(SESSION[one["state"]], language, client=one["client"]) for one in sessions if one["state"] in SESSION]
    can_lock = any(session["state"] == "active" and session["card"] for session in sessions)
    changes = [card for card in cards if card["pin"]]
    acts = [
        (LOCK if can_lock else "", _("Lock", language)),
        (LOG_OUT if sessions else "", _("Log out", language)),
        *((f"{PIN} {card['id']}", _change(card, language, alone=len(changes) == 1)) for card in changes),
    ]
    about = [("", line) for line in told or [_(title, language)]]
    return f"cardd-{summary}", _(title, language), [*about, LINE, *acts, LINE, (OPEN, _("Status page", language))]


def _listed(state: Mapping[str, object], name: str) -> list[dict[str, str]]:
    """Return the cards or the sessions, with names that imitate nothing. Raises ValueError."""
    listed = state.get(name)
    if not isinstance(listed, list) or not all(isinstance(one, dict) and one.keys() >= FIELDS[name] for one in listed):
        raise ValueError(name)
    return [{field: str(value) for field, value in clean(_words(one)).items()} for one in listed]


def _words(one: Mapping[object, object]) -> dict[str, str | int]:
    return {str(field): str(value) for field, value in one.items()}


def _summary(cards: Sequence[Mapping[str, str]], states: Collection[str], readers: str) -> str:
    if states:
        return "open" if "active" in states else "locked" if "locked" in states else "card"
    if any(not card["problem"] for card in cards):
        return "card"
    return "problem" if cards or readers == "unavailable" else "none"


def _card(card: Mapping[str, str], language: str) -> str:
    why = _(IN_USE, language) if card["in_use"] else card["problem"]
    sentence = CARD_BUT if why else CARD
    return _(sentence, language, card=card["kind"], reader=card["reader"], why=why)


def _change(card: Mapping[str, str], language: str, *, alone: bool) -> str:
    if alone:
        return _("Change the PIN…", language)
    return _("Change the PIN of {card} in “{reader}”…", language, card=card["kind"], reader=card["reader"])
