"""TLS with a key that somebody else holds: a card, a token. Python's own ``ssl`` cannot do that.

The package is imported when the first connection is made: until then nothing of it is in memory.
"""
