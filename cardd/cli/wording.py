"""What several commands say alike: a holder, a session and an unusable card, each in a few words."""

from __future__ import annotations

from cardd.cli.command import Context
from cardd.client import Card, Holder, SessionState
from cardd.i18n import text
from cardd.model import Identity


def holder_in_words(context: Context, holder: Holder | Identity) -> str:
    """Return a holder's name, national identifier, kind of card if any, and that it is for tests."""
    test = "holder.test" if holder.card_type_name else "holder.fictitious"
    told = [holder.national_id, holder.card_type_name, context.words(test) if holder.is_test else None]
    return f"{holder.given_name} {holder.family_name} ({', '.join(filter(None, told))})"


def session_in_words(context: Context, session: SessionState) -> str:
    """Return a session's holder, state and end."""
    return context.words(
        "status.open",
        holder=holder_in_words(context, session.identity),
        state=context.words(f"sessions.{session.state}"),
        until=session.expires_at.astimezone().strftime("%H:%M"),
    )


def problem_in_words(context: Context, card: Card) -> str:
    """Return why the card cannot be used; nothing when it can."""
    if card.problem is None:
        return ""
    try:
        return text(f"{card.problem}.title", context.language)
    except KeyError:  # a newer daemon's
        return card.problem
