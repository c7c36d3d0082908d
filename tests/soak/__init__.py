"""`make soak`: mixed load for minutes or hours, with cards that come and go; what the daemon holds must stay flat."""
