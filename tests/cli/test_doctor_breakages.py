"""Doctor on a whole workstation: all green where all is well, and its first line names what was broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level
from cardd.cli.doctor.examining import PATIENT, examine
from cardd.values import replace
from tests.cli.breakages import BREAKAGES, broken
from tests.cli.practice import Practice, first, practising

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can fill a disk and give files away")

GREEN = {
    "config.ok", "disk.ok", "state.ok", "clock.ok", "denials.ok", "port.ours", "socket.ok", "version.ok", "audit.ok",
    "pcscd_socket.ok", "protocol.ok", "pcscd.ok", "reader.ok", "card.ok", "held.ok", "pin.ok", "certificates.ok",
    "stacks.ok", "desktop_modules.ok", "middleware.none", "keyring.ok", "pinentry.ok", "browsers.ok", "pkcs11.ok",
    "sandboxes.ok", "memory.ok", "sandbox.ok", "desktop.ok",
}  # fmt: skip
# what nothing on this practice needs
NEEDLESS = {
    "skipped.no_unit", "skipped.no_polkit", "skipped.no_usb_reader", "skipped.no_modules", "skipped.no_organisation",
    "skipped.own_dialogs", "skipped.own_readers",
    "skipped.no_network", "skipped.no_proxy", "skipped.no_psc", "skipped.no_authorities",
    "skipped.offline", "skipped.no_https", "skipped.no_sites", "skipped.no_support",
}  # fmt: skip


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practising(tmp_path_factory.mktemp("practice")) as practice:
        yield practice


async def test_where_all_is_well_everything_is_green(practice: Practice, tmp_path: Path) -> None:
    results = await examine(CHECKS, CHECKS, practice.surroundings(tmp_path), PATIENT)
    wrong = [(one.code, one.sentence("en")) for one in results if one.level not in (Level.OK, Level.SKIPPED)]
    assert wrong == []
    assert {one.code for one in results if one.level is Level.OK} == GREEN
    assert {one.code for one in results if one.level is Level.SKIPPED} == NEEDLESS


@pytest.mark.parametrize("code", BREAKAGES)
async def test_the_first_line_names_what_was_broken(practice: Practice, tmp_path: Path, code: str) -> None:
    with broken(code, practice, tmp_path) as surroundings:
        found = await first(surroundings)
    assert found is not None
    assert found.code == code
    for language in ("fr", "en"):
        assert "{" not in found.sentence(language) + found.remedy(language) + found.title(language)
        assert found.remedy(language)


async def test_a_port_that_is_taken_is_told_before_the_service_that_failed_for_it(
    practice: Practice, tmp_path: Path
) -> None:
    (tmp_path / "failed").mkdir()
    with (
        broken("service.failed", practice, tmp_path / "failed") as failed,
        broken("port.taken", practice, tmp_path) as taken,
    ):
        found = await first(replace(taken, unit=failed.unit))
    assert found is not None
    assert found.code == "port.taken"
