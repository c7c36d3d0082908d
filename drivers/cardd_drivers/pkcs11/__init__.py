"""Keys behind PKCS#11 modules, each module in a process of its own: its crash, hang or leak is not the daemon's."""

from cardd_drivers.pkcs11.source import pkcs11_source

__all__ = ["pkcs11_source"]
