"""Dialogs with the person at the workstation: by pinentry, on the terminal, through the agents of other desktops."""
