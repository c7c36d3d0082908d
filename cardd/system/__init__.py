"""The workstation: what is kept on disk, who is at the other end of a socket, systemd, logind, hardening."""
