"""An identity as the API shows it."""

from __future__ import annotations

from msgspec import UNSET

from cardd.api.schemas.sessions import IdentityAnswer, OrganisationAnswer
from cardd.model import Identity


def described(identity: Identity) -> IdentityAnswer:
    """Field by field: what a page or an LPS may know of the holder."""
    organisation = identity.organisation
    return IdentityAnswer(
        national_id=identity.national_id,
        family_name=identity.family_name,
        given_name=identity.given_name,
        title=identity.title,
        profession=identity.profession,
        specialty=identity.specialty,
        card_type=identity.card_type,
        card_type_name=identity.card_type_name,
        card_number=identity.card_number,
        is_test=identity.is_test,
        is_declared=identity.is_declared,
        organisation=OrganisationAnswer(organisation.identifier, organisation.kind, organisation.name)
        if organisation
        else UNSET,
    )
