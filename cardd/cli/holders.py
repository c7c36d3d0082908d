"""A holder as cardctl shows one: name, national identifier, which card if any, and that it is for tests."""

from __future__ import annotations

from cardd.cli.context import Context
from cardd.client import Holder
from cardd.model import Identity


def shown(context: Context, holder: Holder | Identity) -> str:
    """One line."""
    test = "holder.test" if holder.card_type_name else "holder.fictitious"
    told = [holder.national_id, holder.card_type_name, context.words(test) if holder.is_test else None]
    return f"{holder.given_name} {holder.family_name} ({', '.join(filter(None, told))})"
