"""What PSC tells of the person, right and wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.errors import (
    CarddError,
    PscGarbled,
    PscOtherPerson,
    PscRequestRefused,
    PscSessionOver,
    PscTokenAlgorithm,
    PscTokenAudience,
    PscTokenExpired,
    PscTokenFromFuture,
    PscTokenIssuer,
    PscTokenMalformed,
    PscUserinfoSubject,
)
from cardd.model import JsonValue
from cardd.oidc import ciba
from cardd.oidc.provider import Person, Provider, read_person
from cardd.oidc.tokens import parse
from tests.oidc.services import service
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ACTIVITY, ALICE, BOB, PRACTICE, person, person_of_2026
from tests.rig.oidc.provider import PscRig


@pytest.fixture(autouse=True)
def quick(fake: FakeProvider) -> None:
    fake.start["interval"] = 0.01


async def who(provider: Provider) -> Person:
    return (await (await ciba.start(provider, ALICE)).finish()).person


async def test_a_signed_userinfo_is_read_too(psc: PscRig) -> None:
    async with service(psc, "jwt-userinfo") as provider:
        pending = await ciba.start(provider, ALICE)
        await psc.approve(ALICE)
        assert (await pending.finish()).person.identity.national_id == ALICE


async def test_what_psc_tells_of_the_person_is_passed_on_as_it_is(fake: FakeProvider, at_fake: Provider) -> None:
    fake.person |= {"authMode": "MOBILE", "something_new": {"deep": [1]}}
    told = await who(at_fake)
    assert told.auth_mode == "MOBILE"
    assert (told.identity.title, told.identity.profession, told.identity.specialty) == ("DR", "10", "SM26")
    [situation] = told.situations
    assert (situation.id, situation.sector) == ("1.1", "SA07^1.2.250.1.71.4.2.4")
    assert (situation.technical_structure, situation.structure_name) == ("R99700000001", "CABINET SIMULATION")
    assert situation.siret is None


@pytest.mark.parametrize("payload", [person, person_of_2026], ids=["2023", "2026"])
async def test_who_it_is_stands_in_the_payloads_of_both_years(
    fake: FakeProvider, at_fake: Provider, payload: Callable[[str, str], dict[str, JsonValue]]
) -> None:
    fake.person = payload(ALICE, "ALICE")
    told = await who(at_fake)
    assert (told.subject, told.identity.national_id) == (fake.person["sub"], ALICE)
    assert (told.identity.given_name, told.identity.profession, len(told.situations)) == ("ALICE", "10", 1)


TECHNICAL = "5e0f3b2d-93b4-4c1e-8a77-6a1d0c524c19"


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"PSISubjectNameID": TECHNICAL}, True),
        ({"PSISubjectNameID": "899700000001"}, True),  # another identifier, whatever it has
        ({"preferred_username": TECHNICAL}, True),
        ({"preferred_username": ""}, True),
        ({"SubjectNameID": ""}, True),
        ({"SubjectNameID": "", "preferred_username": TECHNICAL}, False),
        ({"SubjectNameID": "", "preferred_username": "", "PSISubjectNameID": ALICE}, False),
        ({"SubjectNameID": "", "preferred_username": "", "sub": f"f:{TECHNICAL}:{ALICE}"}, False),
        ({"preferred_username": BOB}, False),
    ],
    ids=str,
)
def test_the_national_id_is_read_from_where_it_stands_alone(changes: dict[str, JsonValue], is_told: bool) -> None:
    claims = {**person_of_2026(ALICE, "ALICE"), **changes}
    if is_told:
        assert read_person(claims, str(claims["sub"])).identity.national_id == ALICE
    else:
        with pytest.raises(PscGarbled):
            read_person(claims, str(claims["sub"]))


@pytest.mark.parametrize(
    "more",
    [
        '"SubjectNameID": "BOB", "preferred_username": "BOB"',
        r'"Subject\u004eameID": "BOB"',
        '"more": [{"a": 1, "b": {"c" : 2, "c"\t: 2}}]',
    ],
    ids=["who", "written otherwise", "deep"],
)
async def test_userinfo_that_says_a_thing_twice_tells_of_nobody(
    fake: FakeProvider, at_fake: Provider, more: str
) -> None:
    fake.person_as_sent = f"{json.dumps(fake.person)[:-1]}, {more.replace('BOB', BOB)}}}"
    with pytest.raises(PscGarbled):
        await who(at_fake)


def test_a_text_that_looks_like_keys_is_a_text() -> None:
    told = {"a": 'b": "a":', "c\\": ["d\\", ":", {"": {}}], "{": ["a", {"a": "\\"}]}
    assert parse(json.dumps(told, indent=1).encode(), "answer") == told


async def test_userinfo_of_another_subject_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.claims = {"sub": "f:simulation:another"}
    with pytest.raises(PscUserinfoSubject):
        await who(at_fake)


async def test_somebody_else_than_the_login_hint_gets_no_login(fake: FakeProvider, at_fake: Provider) -> None:
    fake.person = person(BOB, "BOB")
    with pytest.raises(PscOtherPerson):
        await who(at_fake)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iss": "https://psc.example"}, PscTokenIssuer),
        ({"aud": "another-service"}, PscTokenAudience),
        ({"exp": 1}, PscTokenExpired),
        ({"nbf": 4_000_000_000}, PscTokenFromFuture),
        ({"iat": 4_000_000_000}, PscTokenFromFuture),
        ({"exp": "soon"}, PscTokenMalformed),
    ],
    ids=str,
)
async def test_a_signed_userinfo_for_others_or_another_time_is_refused(
    fake: FakeProvider, at_fake: Provider, claims: dict[str, Any], expected: type[CarddError]
) -> None:
    fake.userinfo_type = "application/jwt"
    fake.person |= claims
    with pytest.raises(expected):
        await who(at_fake)


@pytest.mark.parametrize(("status", "expected"), [(401, PscSessionOver), (403, PscRequestRefused)])
async def test_a_userinfo_that_is_refused_is_no_person(
    fake: FakeProvider, at_fake: Provider, status: int, expected: type[CarddError]
) -> None:
    fake.statuses["userinfo"] = status
    with pytest.raises(expected):
        await who(at_fake)


async def test_a_signed_userinfo_without_end_is_malformed(fake: FakeProvider, at_fake: Provider) -> None:
    fake.userinfo_type = "application/jwt"
    fake.person |= {"more": "x" * 70_000}
    with pytest.raises(PscTokenMalformed):
        await who(at_fake)


async def test_a_userinfo_signed_in_a_refused_way_is_refused(fake: FakeProvider, at_fake: Provider) -> None:
    fake.userinfo_type = "application/jwt"
    fake.raw_id_token = fake.id_token()
    fake.algorithm, fake.key = "none", ""
    with pytest.raises(PscTokenAlgorithm):
        await who(at_fake)


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": BOB},
        {"preferred_username": None, "SubjectNameID": None},
        {"preferred_username": 899700000005, "SubjectNameID": None},
        {"SubjectNameID": "8" * 600},
        {"family_name": ["SIMULATION"]},
        {"SubjectRefPro": {"exercices": {"not": "a list"}}},
        {"SubjectRefPro": {"exercices": [PRACTICE] * 65}},
        {"SubjectRefPro": {"exercices": [{**PRACTICE, "activities": [ACTIVITY] * 65}]}},
        {"SubjectRefPro": {"exercices": ["not an object"]}},
        {"SubjectRefPro": {"exercices": [{**PRACTICE, "codeProfession": 10}]}},
    ],
    ids=lambda claims: str(claims)[:60],
)
async def test_a_userinfo_that_makes_no_sense_is_garbled(
    fake: FakeProvider, at_fake: Provider, claims: dict[str, Any]
) -> None:
    fake.person |= claims
    with pytest.raises(PscGarbled):
        await who(at_fake)


@pytest.mark.parametrize("reference", [None, "text", {}, {"exercices": None}, {"exercices": []}], ids=str)
async def test_a_person_without_a_practice_logs_in_too(
    fake: FakeProvider, at_fake: Provider, reference: object
) -> None:
    fake.person["SubjectRefPro"] = reference
    assert (await who(at_fake)).situations == ()


async def test_an_exercice_without_an_activity_is_a_situation_too(fake: FakeProvider, at_fake: Provider) -> None:
    fake.person["SubjectRefPro"] = {"exercices": [{**PRACTICE, "activities": []}]}
    [situation] = (await who(at_fake)).situations
    assert (situation.id, situation.profession, situation.structure_name) == ("1.1", "10", None)


NAMES = st.sampled_from(["SubjectRefPro", "exercices", "activities", "codeProfession", "family_name"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_userinfo_of_any_shape_is_garbled_or_a_persons(value: Any) -> None:
    claims = {"preferred_username": ALICE, **(value if isinstance(value, dict) else {"SubjectRefPro": value})}
    try:
        person = read_person(claims, "f:simulation:1")
    except PscGarbled:
        return
    assert (person.subject, person.identity.national_id) == ("f:simulation:1", ALICE)


@given(st.binary(max_size=200))
def test_any_bytes_are_garbled_or_an_object(raw: bytes) -> None:
    try:
        found = parse(raw, "answer")
    except PscGarbled:
        return
    assert isinstance(found, dict)


def test_json_that_nests_without_end_is_garbled() -> None:
    with pytest.raises(PscGarbled):
        parse(b'{"a":' * 100_000, "answer")
