"""The ways to become someone: what a login method needs, asks and turns into a session."""
