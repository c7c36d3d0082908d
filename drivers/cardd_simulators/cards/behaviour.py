"""What may differ between real cards, and is not known of them: a driver must be able to live with each of these.

A variant is what ``cardctl simulate --variant`` calls one such difference; several may be combined.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from cardd.values import Value


class Behaviour(Value):
    """How one card differs from the one that is known best; ``texts.VARIANTS`` says what each difference is.

    ``shift`` is how much later than usual its certificates begin and end.
    """

    one_signature_a_pin: bool = False
    no_ef_sn: bool = False
    no_ef_dir: bool = False
    ef_dir_without_paths: bool = False
    relative_paths: bool = False
    no_short_ids: bool = False
    no_empty_verify: bool = False
    strict_references: bool = False
    hashes_itself: bool = False
    detour: bool = False
    expired: bool = False
    not_yet_valid: bool = False
    name_without_id: bool = False
    no_national_id: bool = False

    @property
    def shift(self) -> timedelta:
        """Return how much later than usual the certificates begin and end."""
        years = 1 if self.not_yet_valid else -4 if self.expired else 0
        return timedelta(days=365 * years)

    @property
    def changes_certificates(self) -> bool:
        """Return whether its certificates are others than those of the card that is known best."""
        return self.expired or self.not_yet_valid or self.name_without_id or self.no_national_id

    @property
    def names(self) -> tuple[str, ...]:
        """Return the variants that make this behaviour."""
        return tuple(variant for variant in VARIANTS if getattr(self, _field(variant)))


USUAL = Behaviour()
VARIANTS = tuple(name.replace("_", "-") for name in Behaviour.__struct_fields__)


def behaving(variants: Iterable[str]) -> Behaviour:
    """Return the behaviour of a card with these variants, each one of ``VARIANTS``."""
    return Behaviour(**dict.fromkeys(map(_field, variants), True))


def _field(variant: str) -> str:
    return variant.replace("-", "_")
