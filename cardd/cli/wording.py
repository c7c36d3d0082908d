"""What several commands say alike: a holder, a session, an unusable card, and a value that is to be typed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from cardd.cli.command import Context
from cardd.client import Card, Holder, SessionState
from cardd.errors import errors_by_code
from cardd.i18n import N_, Domain
from cardd.model import Identity, shown

_ = Domain("cli")
BARE = re.compile(r"[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+=:,./-]*")  # what no shell reads as anything else
FIRST_OCTET, LAST_OCTET = "\udc80", "\udcff"  # a name's octets that are no text, as Python has them (PEP 383)
STATES = {"active": N_("open"), "pending": N_("waiting for the mobile"), "locked": N_("locked")}


def word_for(key: str, words: Mapping[str, str], context: Context) -> str:
    """Return the word for one of the daemon's keys; the key itself where a newer daemon has more of them."""
    word = words.get(key, key)
    return _(word, context.language)


def holder_in_words(context: Context, holder: Holder | Identity) -> str:
    """Return a holder's name, national identifier, kind of card if any, and that it is for tests."""
    test = N_("test card") if holder.card_type_name else N_("test identity")
    told = [holder.national_id, holder.card_type_name, _(test, context.language) if holder.is_test else None]
    return f"{holder.given_name} {holder.family_name} ({', '.join(filter(None, told))})"


def session_in_words(context: Context, session: SessionState) -> str:
    """Return a session's holder, state and end."""
    return _(
        "{holder}, {state}, until {until}",
        context.language,
        holder=holder_in_words(context, session.identity),
        state=state_in_words(context, session.state),
        until=session.expires_at.astimezone().strftime("%H:%M"),
    )


def state_in_words(context: Context, state: str) -> str:
    """Return a session's state."""
    return word_for(state, STATES, context)


def problem_in_words(context: Context, card: Card) -> str:
    """Return why the card cannot be used, or that another user uses it; nothing where neither is so."""
    if card.problem is None:
        return _("in use by another user", context.language) if card.in_use else ""
    problem = errors_by_code().get(card.problem)
    return problem.received().told(context.language).title if problem else card.problem  # a newer daemon's


def typed(told: str | int) -> str:
    """Return a value as it is typed for a shell: one word, of signs that can be seen and copied.

    Backslashes and apostrophes stand outside quotes: inside them, fish has rules of its own. A quotation mark of print
    would end the command that stands between two; such signs, and those that break a line, hide or turn its direction,
    are told as bytes. fish then refuses the command, and dash finds nothing of that name.
    """
    text = str(told)
    if BARE.fullmatch(text):
        return text
    if all(map(_is_plain, text)):
        return "'" + re.sub(r"([\\'])", r"'\\\1'", text) + "'"
    raw = "".join(sign if _is_plain(sign) and sign not in "'\\" else _bytes_of(sign) for sign in text)
    return f"$'{raw}'"


def _is_plain(sign: str) -> bool:
    is_letter = sign.isalpha() and unicodedata.bidirectional(sign) == "L" and shown(sign) == sign
    return sign.isprintable() if sign.isascii() else is_letter


def _bytes_of(sign: str) -> str:
    octets = sign.encode(errors="surrogateescape" if FIRST_OCTET <= sign <= LAST_OCTET else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in octets)
