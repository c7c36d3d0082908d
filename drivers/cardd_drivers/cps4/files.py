"""The file system of a CPS4, as far as it is known: nothing but the way to select.

Its short identifiers are not known, so that every file is selected by its path. EF.DIR and the ODF have the
identifiers of ISO/IEC 7816-4 and 7816-15; the ODF's directories tell the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cardd.apdu import LE_MAX, Command
from cardd.model import Algorithm, KeyPurpose
from cardd_drivers.cps3.contents import Directories
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import MASTER_FILE


class Cps4Files(Files):
    """Selects as a CPS4 wants it: by a path without the master file, answered with an FCI that nobody reads."""

    def master_command(self) -> Command:
        """SELECT the master file by its identifier."""
        return Command(self.cla, 0xA4, 0x00, 0x00, MASTER_FILE, le=LE_MAX)

    def path_command(self, path: bytes) -> Command:
        """SELECT by path from the master file."""
        return Command(self.cla, 0xA4, 0x08, 0x00, path.removeprefix(MASTER_FILE), le=LE_MAX)

    def relative_command(self, path: bytes) -> Command:
        """SELECT by path from the current DF."""
        return Command(self.cla, 0xA4, 0x09, 0x00, path, le=LE_MAX)


class Cps4Directories(Directories):
    """Finds everything by paths; EF.SN is looked for where a CPS3 has it."""

    has_short_ids = False
    algorithms: ClassVar[Mapping[KeyPurpose, tuple[Algorithm, ...]]] = {
        KeyPurpose.SIGNATURE: (Algorithm.RS256, Algorithm.PS256),
        KeyPurpose.AUTHENTICATION: (Algorithm.RS256,),
        KeyPurpose.TECHNICAL: (Algorithm.RS256,),
    }
