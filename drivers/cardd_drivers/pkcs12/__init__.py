"""Keys in PKCS#12 files: an organisation's software certificate (CSA)."""

from cardd_drivers.pkcs12.source import pkcs12_source

__all__ = ["pkcs12_source"]
