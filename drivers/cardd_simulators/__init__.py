"""What stands in for plastic cards, Pro Santé Connect and the DMP: on loopback, with fictitious people only."""
