"""The commands: ``cardd`` runs the daemon, ``cardctl`` talks to it and to what it left on disk."""
