"""Whose INS is known: fictitious people, built in or from a file of the user's (TOML).

``[[people]]`` has ins (15 characters, the key included), birth_name, given_names, sex (M or F), birth_date
(YYYY-MM-DD) and birth_place (INSEE's code); oid where it is not that of test numbers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from cardd.errors import InvalidRequest
from cardd.values import Value

TEST_OID = "1.2.250.1.213.1.4.10"
OIDS = ("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", TEST_OID)
INS = re.compile(r"([0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{6})([0-9]{2})")
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
PLACE = re.compile(r"[0-9][0-9AB][0-9]{3}")
SEXES = ("M", "F")


class Traits(Value):
    """What is asked for; ``place`` may be left out."""

    birth_name: str
    given_name: str
    sex: str
    birth_date: str
    place: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.birth_name, self.given_name, self.sex, self.birth_date, self.place)))


class Person(Value):
    """One person; ``ins`` is the number without its ``key``."""

    ins: str
    key: str
    birth_name: str
    given_names: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str
    oid: str = TEST_OID

    def fits(self, asked: Traits) -> bool:
        """Return whether the person has these traits: any of their given names will do."""
        return (
            (self.birth_name, self.sex, self.birth_date) == (asked.birth_name.upper(), asked.sex, asked.birth_date)
            and asked.given_name.upper() in self.given_names
            and asked.place in ("", self.birth_place)
        )


BUILT_IN = (  # the first is the simulated DMP's patient; the last two have the same traits
    Person("1850599999001", "81", "SIMULATION", ("PATIENT", "CLAUDE"), "M", "1985-05-09", "99999"),
    Person("290022A999002", "54", "SIMULATION-CORSE", ("MARIE",), "F", "1990-02-28", "2A999"),
    Person("2700199999003", "21", "SIMULATION-HOMONYME", ("ALEX",), "F", "1970-01-01", "99999"),
    Person("2700199999004", "20", "SIMULATION-HOMONYME", ("ALEX",), "F", "1970-01-01", "99999"),
)


def people_of(file: Path | None) -> Sequence[Person]:
    """Return everybody. Raises InvalidRequest for a file that is not of the form."""
    if file is None:
        return BUILT_IN
    try:
        told = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidRequest(where="--people", why=str(fault)) from fault
    tables = told.get("people")
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        raise InvalidRequest(where="--people", why="expected", expected="[[people]]")
    return [_person(number, table) for number, table in enumerate(tables, 1)]


def key_of(ins: str) -> str:
    """Return the key of a number of 13 characters; Corsica's 2A and 2B count as 19 and 18."""
    return f"{97 - int(ins.replace('2A', '19').replace('2B', '18')) % 97:02d}"


def _person(number: int, table: Mapping[str, object]) -> Person:
    def text(name: str, form: re.Pattern[str]) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise InvalidRequest(where=f"--people[{number}].{name}", why="expected", expected=form.pattern)
        return value

    found = INS.fullmatch(text("ins", INS))
    if found is None or key_of(found[1]) != found[2]:
        raise InvalidRequest(where=f"--people[{number}].ins", why="unfit")
    names = table.get("given_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidRequest(where=f"--people[{number}].given_names", why="expected", expected='["…"]')
    return Person(
        found[1],
        found[2],
        text("birth_name", re.compile(r".+")).upper(),
        tuple(str(name).upper() for name in names),
        text("sex", re.compile("|".join(SEXES))),
        text("birth_date", DATE),
        text("birth_place", PLACE),
        text("oid", re.compile("|".join(map(re.escape, OIDS)))) if "oid" in table else TEST_OID,
    )
