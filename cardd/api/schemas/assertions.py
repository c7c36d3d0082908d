"""VIHF and INSi assertions: what the call adds to card and configuration."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from cardd.api.schemas.base import Answer, Body, Name


class LpsBody(Body):
    """The practice software, as it was registered for the DMP; ``homologation`` is LPS_ID_HOMOLOGATION_DMP."""

    name: Name
    homologation: Name
    version: Name | None = None
    installation: Name | None = None


class PatientBody(Body):
    """A patient by the INS, key included, and the OID that tells its kind (NIR, NIA, test)."""

    ins: Name
    oid: Name


class VihfBody(Body):
    """POST …/assertions for a VIHF.

    ``sector`` and ``means`` are for sessions of an organisation's certificate: how the person logged in, and where
    they act. ``role`` and ``section`` are for what neither card nor login tells.
    """

    type: Literal["vihf"]
    lps: LpsBody
    patient: PatientBody | None = None
    access: Literal["normal", "bris_de_glace", "centre_15"] = "normal"
    secret: bool = False
    role: Name | None = None
    section: Name | None = None
    sector: Name | None = None
    means: Literal["card", "mobile", "password", "tls", "automate"] | None = None


class InsiBody(Body):
    """POST …/assertions for INSi; ``specialty`` is the Assurance Maladie's code, which a doctor must have."""

    type: Literal["insi"]
    lps: LpsBody
    billing: Name
    specialty: Name | None = None


class AssertionAnswer(Answer):
    """An assertion: XML in UTF-8, to be put into the message as it is; no ``certificate`` where nobody signs it."""

    type: Literal["vihf", "insi"]
    assertion: bytes
    certificate: bytes | UnsetType = UNSET
