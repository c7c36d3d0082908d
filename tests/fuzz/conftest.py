"""``make fuzz`` takes the profile ``fuzz``: many more inputs than an ordinary run."""

from hypothesis import settings

settings.register_profile("fuzz", max_examples=10_000, deadline=None)
