"""PKCS#15 (ISO/IEC 7816-15) reading that drivers share: the card's files, its directories and their records."""
