"""A simulated INSi: it tells the INS of fictitious people to who shows the right assertion and headers."""
