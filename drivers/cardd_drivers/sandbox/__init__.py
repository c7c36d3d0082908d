"""Servers for the makers of practice software: what stands behind cardd, played on loopback by fictitious people."""
