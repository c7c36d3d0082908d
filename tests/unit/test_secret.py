"""The PIN's memory: what is kept, what is wiped, and what the system may do with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cardd.secret import CAPACITY, Secret, overwrite


def content(secret: Secret) -> bytes:
    with secret.view() as view:
        return bytes(view)


def test_a_secret_gives_back_what_was_put_in() -> None:
    assert content(Secret.of(b"8472")) == b"8472"


def test_a_wiped_secret_is_empty_and_its_page_is_zero() -> None:
    secret = Secret.of(b"8472")
    secret.wipe()
    assert not secret
    with secret.room() as room:
        assert bytes(room) == bytes(CAPACITY)


def test_leaving_the_context_wipes() -> None:
    with Secret.of(b"8472") as secret:
        assert len(secret) == 4
    assert len(secret) == 0


def test_a_part_read_in_place_is_kept_and_the_rest_is_wiped() -> None:
    secret = Secret()
    with secret.room() as room:
        room[:8] = b"D 8472\nX"
    secret.keep(2, 6)
    assert content(secret) == b"8472"
    with secret.room() as room:
        assert bytes(room[4:]) == bytes(CAPACITY - 4)


def test_neither_repr_nor_str_tells_the_content() -> None:
    secret = Secret.of(b"8472")
    assert "8472" not in f"{secret!r} {secret}"


def test_more_than_its_pages_is_refused_and_a_larger_one_has_more() -> None:
    with pytest.raises(ValueError, match="page"):
        Secret().fill(memoryview(bytes(CAPACITY + 1)))
    value = b"T" * (3 * CAPACITY + 5)
    with Secret.of(value) as large, large.copy() as other:
        large.wipe()
        with other.view() as view:
            assert view == value


def test_a_value_is_overwritten_where_it_lies_and_one_that_python_shares_is_not() -> None:
    text, raw = "".join(["jeton-", "x" * 40]), b"".join([b"jeton-", b"x" * 40])
    overwrite(text)
    overwrite(raw)
    assert (text, raw) == ("\0" * 46, bytes(46))
    letter, byte, accent = "xa"[0], b"xa"[:1], "".join(["é", "è"])
    for shared in (letter, byte, accent):
        overwrite(shared)
    assert ("x", b"x", accent) == (letter, byte, "éè")


def test_a_text_is_lent_and_overwritten_afterwards() -> None:
    with Secret.of(b"jeton-SIMULATION") as secret:
        with secret.lent_text() as text:
            assert text == "jeton-SIMULATION"[:]
        assert set(text) == {"\0"}


def test_the_page_is_locked_kept_out_of_core_dumps_and_of_children() -> None:
    secret = Secret.of(b"8472")
    assert secret.locked
    flags = [line for line in Path("/proc/self/smaps").read_text().splitlines() if line.startswith("VmFlags")]
    # lo: locked, dd: not in core dumps, dc: not copied on fork (Linux, Documentation/filesystems/proc.rst)
    assert any(re.search(r"\bdc\b.*\blo\b.*\bdd\b|\blo\b.*\bdc\b.*\bdd\b", line) for line in flags)


def test_a_child_process_has_no_copy() -> None:
    secret = Secret.of(b"forkless")
    inherited, report = os.pipe()
    child = os.fork()
    if child == 0:
        maps = Path("/proc/self/smaps").read_text()
        os.write(report, b"yes" if re.search(r"\bdc\b", maps) else b"no")
        os._exit(0)
    os.close(report)
    os.waitpid(child, 0)
    assert os.read(inherited, 3) == b"no"
    os.close(inherited)
    assert content(secret) == b"forkless"
