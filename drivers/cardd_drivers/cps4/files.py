"""The file system of a CPS4, as far as it is known: nothing but the way to select.

Its short identifiers are not known, so that every file is selected by its path. EF.DIR and the ODF have the
identifiers of ISO/IEC 7816-4 and 7816-15; the ODF's directories tell the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cardd.apdu import LE_MAX, Command
from cardd.errors import CardGarbled, CardRefused
from cardd.model import Algorithm, KeyPurpose
from cardd_drivers.cps3.contents import Directories, serial_in
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import MASTER_FILE, Application

EF_DIR = bytes.fromhex("3F002F00")
EF_SN = bytes.fromhex("3F00D003")  # a CPS3's: a CPS4 may have it elsewhere, or nowhere
ODF = bytes.fromhex("5031")


class Cps4Files(Files):
    """Selects as a CPS4 wants it: by a path without the master file, answered with an FCI that nobody reads."""

    def master_command(self) -> Command:
        """SELECT the master file by its identifier."""
        return Command(self.cla, 0xA4, 0x00, 0x00, MASTER_FILE, le=LE_MAX)

    def path_command(self, path: bytes) -> Command:
        """SELECT by path from the master file."""
        return Command(self.cla, 0xA4, 0x08, 0x00, path.removeprefix(MASTER_FILE), le=LE_MAX)


class Cps4Directories(Directories):
    """Finds everything by paths."""

    algorithms: ClassVar[Mapping[KeyPurpose, tuple[Algorithm, ...]]] = {
        KeyPurpose.SIGNATURE: (Algorithm.RS256, Algorithm.PS256),
        KeyPurpose.AUTHENTICATION: (Algorithm.RS256,),
        KeyPurpose.TECHNICAL: (Algorithm.RS256,),
    }

    def _serial(self) -> str:
        """Return the serial number, empty for a card without EF.SN or with another one: nothing depends on it."""
        try:
            self._files.select_file(EF_SN)
            return serial_in(self._files.read_object())
        except (CardRefused, CardGarbled):
            return ""

    def _ef_dir(self) -> bytes:
        self._files.select_file(EF_DIR)
        return self._files.read_directory()

    def _odf(self, application: Application) -> bytes:
        self._files.select_file(application.resolve(ODF))
        return self._files.read_directory()
