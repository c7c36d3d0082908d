"""Asking the person at the workstation: pinentry dialogs, the terminal, and the agents of other desktops."""
