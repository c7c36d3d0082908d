"""A CPS3 read without contact: it has no PIN, and one technical key that works without any.

It tells which card it is and proves that it is genuine; it never speaks for its holder. Source: the emulation facts,
section 5.
"""

from __future__ import annotations

from cardd_drivers.cps3.card import Cps3Card
from cardd_drivers.cps3.commands import CONTACTLESS_AID
from cardd_drivers.cps3.contents import Directories
from cardd_drivers.pkcs15.directory import Application
from cardd_drivers.pkcs15.objects import Password


class ContactlessDirectories(Directories):
    """The contactless application's, which lists no passwords."""

    aid = CONTACTLESS_AID

    def _passwords(self, application: Application, odf: bytes) -> list[Password]:  # noqa: ARG002 - the hook's signature
        return []


class Cps3ContactlessCard(Cps3Card):
    """A CPS3 near a contactless reader."""

    directories_type = ContactlessDirectories
