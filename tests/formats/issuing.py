"""Assertions as the tests of this folder ask for them: short words for the usual cases."""

from __future__ import annotations

from cardd.formats.prepared import Signer
from cardd.formats.saml.assertion import PreparedAssertion
from cardd.formats.saml.profiles import DmpProfile, profile_named
from cardd.formats.saml.request import InsiCall, Mode, Registration, Speaker, VihfCall
from cardd.formats.saml.vihf import prepare_vihf
from tests.rig.saml import PATIENT, REGISTRATION, StoppedClock, card_key, doctor, of_organisation, organisation_key

CARD = card_key()
ORGANISATION = organisation_key()
BILLING = InsiCall("991234567", "01")


def prepare(
    call: VihfCall | None = None,
    *,
    speaker: Speaker | None = None,
    signer: Signer | None = None,
    registration: Registration = REGISTRATION,
    profile: DmpProfile | None = None,
    clock: StoppedClock | None = None,
) -> PreparedAssertion:
    """A direct VIHF of the doctor for the patient, but for what is told otherwise."""
    return prepare_vihf(
        speaker or doctor(),
        signer or CARD.signer,
        registration,
        call or VihfCall(Mode.DIRECT, PATIENT),
        profile=profile or profile_named("2024"),
        clock=clock or StoppedClock(),
    )


def vihf(
    call: VihfCall | None = None,
    *,
    speaker: Speaker | None = None,
    registration: Registration = REGISTRATION,
    profile: DmpProfile | None = None,
) -> bytes:
    """Return a VIHF that the card signed."""
    return CARD.finish(prepare(call, speaker=speaker, registration=registration, profile=profile))


def organisation_vihf(mode: Mode, speaker: Speaker, profile: DmpProfile | None = None) -> bytes:
    """The doctor's VIHF in this mode, signed by the organisation."""
    call = VihfCall(mode, PATIENT)
    acting = of_organisation(speaker, declared=mode is Mode.INDIRECT)
    return ORGANISATION.finish(prepare(call, speaker=acting, signer=ORGANISATION.signer, profile=profile))
