"""The namespaces of the IHE transactions and the ebXML registry."""

from __future__ import annotations

from cardd_simulators.dmp.metadata import RIM

QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
XDS = "urn:ihe:iti:xds-b:2007"
SPACES = {"query": QUERY, "lcm": LCM, "xds": XDS, "rim": RIM}
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
