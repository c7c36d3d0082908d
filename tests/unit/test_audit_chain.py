"""The audit log's hash chain, and each way in which it can be broken."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardd.core.audit import EMPTY, Head, next_row, row_hash, verify
from cardd.errors import AuditBroken
from cardd.model import AuditEntry, AuditRow, Outcome
from cardd.values import replace

START = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
ENTRY = AuditEntry("signature.raw", Outcome.DONE, 1000, "client", caller_name="SIMULATION", digest="ab" * 32)

texts = st.text(max_size=20)
entries = st.builds(
    AuditEntry,
    action=texts,
    outcome=st.sampled_from(Outcome),
    uid=st.integers(0, 2**32 - 2),
    caller=texts,
    caller_name=texts,
    session=st.none() | texts,
    digest=st.none() | texts,
    document=st.none() | texts,
    certificate=st.none() | texts,
    consent=st.none() | texts,
    code=st.none() | texts,
)


def chain(count: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    head = EMPTY
    for number in range(count):
        rows.append(next_row(head, START + timedelta(seconds=number), replace(ENTRY, document=f"document {number}")))
        head = Head(rows[-1].number, rows[-1].hash)
    return rows


def head_of(rows: list[AuditRow]) -> Head:
    return Head(rows[-1].number, rows[-1].hash)


def fault(rows: list[AuditRow], *heads: Head) -> tuple[object, object]:
    with pytest.raises(AuditBroken) as caught:
        verify(rows, *heads)
    return caught.value.params["row"], caught.value.params["why"]


def test_a_whole_chain_is_verified_to_its_head() -> None:
    rows = chain(5)
    assert verify(rows, head_of(rows)) == head_of(rows)
    assert verify([], EMPTY) == EMPTY


def test_a_hash_is_what_the_documented_encoding_says() -> None:
    row = next_row(EMPTY, START, AuditEntry("client.pair", Outcome.REFUSED, 1000, "é", code="consent.refused"))
    parts = ["cardd audit row 1", "0" * 64, "1", "2026-11-01T08:30:00.000000Z"]
    parts += ["action", "client.pair", "outcome", "refused", "uid", "1000", "caller", "é", "caller_name", ""]
    parts += ["code", "consent.refused"]
    covered = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
    assert row.hash == hashlib.sha256(covered).hexdigest()


@given(entries, entries)
def test_two_entries_that_differ_have_different_hashes(one: AuditEntry, other: AuditEntry) -> None:
    same = row_hash(EMPTY.hash, 1, START, one) == row_hash(EMPTY.hash, 1, START, other)
    assert same == (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"document": "another"},
        {"document": None},
        {"uid": 1001},
        {"outcome": Outcome.REFUSED},
        {"caller": "client2"},
        {"consent": ""},
    ],
)
def test_a_changed_field_is_found(change: dict[str, object]) -> None:
    rows = chain(5)
    rows[2] = replace(rows[2], entry=replace(rows[2].entry, **change))  # by field name
    assert fault(rows) == (3, "changed")


def test_a_changed_time_is_found() -> None:
    rows = chain(5)
    rows[2] = replace(rows[2], time=rows[2].time + timedelta(microseconds=1))
    assert fault(rows) == (3, "changed")


def test_a_changed_row_with_a_hash_made_anew_is_found_in_the_next_one() -> None:
    rows = chain(5)
    entry = replace(rows[2].entry, document="another")
    rows[2] = AuditRow(3, START, entry, row_hash(rows[1].hash, 3, START, entry))
    assert fault(rows) == (4, "changed")


def test_a_removed_row_is_found() -> None:
    rows = chain(5)
    assert fault(rows[:2] + rows[3:]) == (3, "removed")


def test_a_removed_first_row_is_found() -> None:
    assert fault(chain(5)[1:]) == (1, "removed")


def test_a_removed_row_is_found_when_those_behind_it_are_numbered_anew() -> None:
    rows = chain(5)
    moved = [replace(row, number=row.number - 1) for row in rows[3:]]
    assert fault(rows[:2] + moved) == (3, "changed")


def test_rows_that_changed_places_are_found() -> None:
    rows = chain(5)
    assert fault([rows[0], rows[2], rows[1], *rows[3:]]) == (2, "removed")
    swapped = [rows[0], replace(rows[2], number=2), replace(rows[1], number=3), *rows[3:]]
    assert fault(swapped) == (2, "changed")


def test_a_row_that_comes_twice_is_found() -> None:
    rows = chain(3)
    assert fault([*rows, rows[1]]) == (2, "order")
    assert fault([*rows, rows[2]]) == (3, "order")


def test_rows_removed_at_the_end_are_found_by_the_head() -> None:
    rows = chain(5)
    assert fault(rows[:3], head_of(rows)) == (4, "removed_at_end")
    assert fault([], head_of(rows)) == (1, "removed_at_end")


def test_rows_behind_the_noted_head_are_good_only_when_they_hold_together() -> None:
    rows = chain(5)
    assert verify(rows, head_of(rows[:3])) == head_of(rows)
    assert fault([*rows[:4], replace(rows[4], hash="0" * 64)], head_of(rows[:3])) == (5, "changed")


def test_a_log_written_anew_is_found_by_the_head() -> None:
    rows = chain(5)
    assert fault(rows, Head(5, "0" * 64)) == (5, "head")
