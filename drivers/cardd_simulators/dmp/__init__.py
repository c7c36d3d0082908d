"""A simulated DMP: what is publicly known of its rules, for a fictitious patient. ``cardctl simulate dmp``."""
