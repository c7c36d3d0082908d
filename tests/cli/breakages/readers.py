"""Readers and cards: pcscd and its driver, what is in the slot, who else holds it."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardd.cli.doctor.surroundings import Surroundings
from cardd.values import replace
from cardd_simulators.cards.behaviour import behaving
from tests.cli.breakages.making import BREAKAGES, Breakage, breakage, listening, orphan, with_files
from tests.cli.practice import Practice
from tests.rig import other_program
from tests.rig.here import use_here, use_socket
from tests.rig.simulator import simulated_card, wait_for_card
from tests.rig.vcard import MUTE_ATR, VirtualCard

VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
STRANGE_ATR = bytes.fromhex("3B6500002063CB6A00")
WRONG_PIN = bytes.fromhex("0020000104") + b"9999"
# what a newer pcscd answers to an older library: its own version, and SCARD_E_SERVICE_STOPPED
NEWER = struct.pack("=iiI", 4, 5, 0x8010001E)


@breakage("pcscd_socket.dead")
def left_over_socket(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A pcscd that was killed has left its socket."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "left.comm"))
    use_socket(directory / "left.comm")
    yield practice.surroundings(directory)
    use_here(practice.station.pcscd)


@breakage("protocol.mismatch")
def newer_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The library of a sandbox is older than the machine's pcscd."""

    def answer(connection: socket.socket) -> None:
        if connection.recv(64):
            connection.sendall(NEWER)

    with listening(directory / "newer.comm", answer):
        use_socket(directory / "newer.comm")
        yield practice.surroundings(directory)
        use_here(practice.station.pcscd)


@breakage("pcscd.absent")
def stopped_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has stopped pcscd."""
    station = practice.station
    station.pcscd.stop()
    station.wait_for_cards(0)
    yield practice.surroundings(directory)
    station.pcscd.start()
    wait_for_card(station.pcscd)
    station.wait_for_cards(1)


@breakage("pcscd.hangs")
def hanging_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Pcscd hangs in a driver."""
    os.kill(practice.station.pcscd.pid, signal.SIGSTOP)
    yield practice.surroundings(directory)
    os.kill(practice.station.pcscd.pid, signal.SIGCONT)


@breakage("polkit.rule_missing")
def no_rule(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Debian 13's pcscd, and the rule was not installed."""
    root = with_files(
        directory,
        "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy",
        "usr/lib/systemd/system/cardd.service",
        "etc/polkit-1/rules.d/50-other.rules",
    )
    yield replace(practice.surroundings(directory), root=root)


@breakage("driver.missing")
def no_driver(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A reader is plugged in, and libccid is not installed."""
    plug_in(directory / "usb", "08e6", "3437")
    yield replace(practice.surroundings(directory), root=with_files(directory))


@breakage("reader.sesam_vitale")
def sesam_vitale(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """An Ingenico reader without its vendor's application."""
    plug_in(directory / "usb", "0b00", "0090", interface="ff")
    yield practice.surroundings(directory)


def plug_in(devices: Path, vendor: str, product: str, interface: str = "0b") -> None:
    """Have the kernel show a USB device."""
    for name, value in (
        ("1-1/idVendor", vendor),
        ("1-1/idProduct", product),
        ("1-1/product", "Reader"),
        ("1-1:1.0/bInterfaceClass", interface),
    ):
        file = devices / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")


@contextmanager
def without_card(practice: Practice) -> Iterator[None]:
    """The card is out."""
    practice.take_out()
    yield
    practice.put_in()


@breakage("card.absent")
def no_card(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """No card is inserted."""
    with without_card(practice):
        yield practice.surroundings(directory)


def _with_card(atr: bytes, what: str) -> Breakage:
    def breaks(practice: Practice, directory: Path) -> Iterator[Surroundings]:
        with without_card(practice):
            card = VirtualCard(practice.station.pcscd.ports[0], atr=atr)
            card.insert()
            wait_for_card(practice.station.pcscd)
            yield practice.surroundings(directory)
            card.pull()
            wait_for_card(practice.station.pcscd, present=False)

    breaks.__doc__ = what
    return breaks


BREAKAGES["card.mute"] = _with_card(MUTE_ATR, "The card's chip is dirty")
BREAKAGES["card.vitale"] = _with_card(VITALE_ATR, "A patient's card is in the professional's slot")
BREAKAGES["card.unknown"] = _with_card(STRANGE_ATR, "A bank's card is inserted")


@breakage("pin.blocked")
def blocked(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The wrong PIN was entered three times."""
    with without_card(practice):
        card = simulated_card()
        card.power_on()
        for _ in range(3):
            card.process(WRONG_PIN)
        practice.put_in(card)
        yield practice.surroundings(directory)
        practice.take_out()


@breakage("certificates.expired")
def expired(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The card has ended."""
    with without_card(practice):
        practice.put_in(simulated_card(behaviour=behaving(["expired"])))
        yield practice.surroundings(directory)
        practice.take_out()


@breakage("held.program")
def held(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program has begun a transaction, and does not end it."""
    station = practice.station
    with orphan(*other_program.command("hold", station.pcscd.reader_names[0]), said=b"held\n"):
        yield practice.surroundings(directory)


@breakage("stacks.several")
def two_stacks(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program is connected to the card."""
    with orphan(*other_program.command("connect", practice.station.pcscd.reader_names[0]), said=b"held\n"):
        yield practice.surroundings(directory)
