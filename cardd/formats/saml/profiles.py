"""The points on which the DMP's public sources differ, under names. Source: the VIHF facts.

A profile is a starting point: where the DMP or a publisher's homologation says otherwise, ``varied`` changes one point
at a time, to a value that some source has.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardd.config.services import CONFIDENTIALITY, DMP_POINTS
from cardd.errors import AssertionPointInvalid, AssertionProfileUnknown
from cardd.formats.saml.request import Means
from cardd.values import Value, replace

CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
CLASSES = {
    Means.CARD: "SmartcardPKI",
    Means.PASSWORD: "Password",
    Means.TLS: "TLSClient",
    Means.AUTOMATE: "unspecified",
}
WINDOW_MAX = 3600


class Variants(Value):
    """One choice for each point.

    ``version`` VIHF_Version · ``mode_attribute`` and ``confidentiality_attribute`` the names of those attributes ·
    ``role_tables`` what a role's codeSystemName says (``none``, ``words`` or ``tables``) · ``access_table`` the same of
    purposeofuse · ``mobile_class`` the class of a login with e-CPS · ``air_declaration`` what AuthnContextDecl says
    (``class``: the class again) · ``air_window`` whether the 30 s of AIR are written as Conditions · ``insi_specialty``
    the attribute of a doctor's INSi assertion.
    """

    version: str = "3.0"
    mode_attribute: str = "Authentification_mode"
    confidentiality_attribute: str = CONFIDENTIALITY
    role_tables: str = "words"
    access_table: str = "mode acces VIHF 2.0"
    mobile_class: str = "MobileTwoFactorUnregistered"
    air_declaration: str = "CONF_EXI_PGSSIS"
    air_window: str = "written"
    insi_specialty: str = "codeSpecialiteAMO"


class DmpProfile(Value):
    """A name for a choice of ``variants``; ``window`` is how long a direct or indirect VIHF lives, in seconds.

    No source tells that time: with 0 none is written.
    """

    name: str
    variants: Variants = Variants()
    window: int = 0

    def login_class(self, means: Means) -> str:
        """The AuthnContextClassRef of this means."""
        return CLASS + CLASSES.get(means, self.variants.mobile_class)


PROFILES = {profile.name: profile for profile in (DmpProfile("2024"), DmpProfile("4.0", Variants(version="4.0")))}


def profile_named(name: str) -> DmpProfile:
    """Raises AssertionProfileUnknown."""
    if name not in PROFILES:
        raise AssertionProfileUnknown(profile=name, known=", ".join(PROFILES))
    return PROFILES[name]


def varied(profile: DmpProfile, points: Mapping[str, str], *, window: int | None = None) -> DmpProfile:
    """The profile with these points changed. Raises AssertionPointInvalid."""
    for point, value in points.items():
        if value not in DMP_POINTS.get(point, ()):
            raise AssertionPointInvalid(point=point, known=", ".join(DMP_POINTS.get(point, DMP_POINTS)))
    window = profile.window if window is None else window
    if not 0 <= window <= WINDOW_MAX:
        raise AssertionPointInvalid(point="window", known=f"0–{WINDOW_MAX}")
    return DmpProfile(profile.name, replace(profile.variants, **points), window)
