"""How a registry or a repository refuses: an answer whose status is Failure, with a list of errors.

Source: IHE ITI volume 3, 4.2.4 (error reporting), and the ebXML registry's schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cardd.values import Value

RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
SUCCESS, FAILURE = f"{STATUS}Success", f"{STATUS}Failure"
SEVERITY = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"

METADATA = "XDSRegistryMetadataError"


class RegistryError(Value):
    """One error: IHE's ``code``, our own ``reason`` (``sim:…``), the value that is wrong, and whose it is."""

    code: str
    reason: str
    value: str = ""
    location: str = ""

    @property
    def context(self) -> str:
        """Return the reason and the value."""
        return f"{self.reason} {self.value}".strip()


class NotRegistered(Exception):
    """What was asked is refused, with every error that was found."""

    def __init__(self, *errors: RegistryError) -> None:
        super().__init__(errors[0].context)
        self.errors = errors

    @property
    def reasons(self) -> Sequence[str]:
        """Return what is told to whoever started the simulator."""
        return [f"{error.code} {error.context}" for error in self.errors]


def success() -> str:
    """Return the answer to what was done."""
    return f'<rs:RegistryResponse xmlns:rs="{RS}" status="{SUCCESS}"/>'


def failure(errors: Sequence[RegistryError]) -> str:
    """Return the answer that refuses."""
    return f'<rs:RegistryResponse xmlns:rs="{RS}" status="{FAILURE}">{error_list(errors)}</rs:RegistryResponse>'


def error_list(errors: Sequence[RegistryError]) -> str:
    """Return the errors."""
    told = "".join(
        f'<rs:RegistryError errorCode="{escape(error.code)}" codeContext="{escape(error.context)}" '
        f'location="{escape(error.location)}" severity="{SEVERITY}"/>'
        for error in errors
    )
    return f'<rs:RegistryErrorList xmlns:rs="{RS}" highestSeverity="{SEVERITY}">{told}</rs:RegistryErrorList>'
