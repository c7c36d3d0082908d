"""dovecot as the mail server that wants a client certificate (as MSSanté's do): a private instance on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.nginx import Pair, wait_for_port
from tests.rig.ports import free_port

DOVECOT = "/usr/sbin/dovecot"
CONFIGURATION = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{server.certificate}
ssl_key = <{server.key}
ssl_ca = <{trusted}
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
auth_ssl_username_from_cert = yes
auth_mechanisms = external
auth_username_chars =
auth_username_format = holder
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
mail_location = maildir:{base}/mail
first_valid_uid = 1
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={base}/mail allow_all_users=yes
}}
"""


@dataclass
class Dovecot:
    """IMAP on ``port`` (TLS from the start) and on ``plain`` (by STARTTLS); the certificate's holder has a mailbox.

    ``trusted`` are the authorities for its clients.
    """

    trusted: Path
    server: Pair
    port: int = field(default_factory=free_port)
    plain: int = field(default_factory=free_port)

    @contextmanager
    def running(self) -> Iterator[Dovecot]:
        """Listen inside the ``with``."""
        base = Path(tempfile.mkdtemp(prefix="dovecot"))
        base.chmod(0o755)  # its processes have users of their own where root starts it
        is_root, me = os.geteuid() == 0, getpass.getuser()
        (base / "mail").mkdir()
        if is_root:
            shutil.chown(base / "mail", "nobody", "nogroup")
        configuration = base / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(
                base=base,
                server=self.server,
                trusted=self.trusted,
                internal="dovecot" if is_root else me,
                login="dovenull" if is_root else me,
                group="dovecot" if is_root else os.getegid(),
                mail="nobody" if is_root else me,
                mail_group="nogroup" if is_root else os.getegid(),
                port=self.port,
                plain=self.plain,
            )
        )
        with subprocess.Popen([DOVECOT, "-F", "-c", configuration], stderr=subprocess.PIPE) as process:
            try:
                wait_for_port(self.plain, process)
                yield self
            finally:
                process.terminate()
                process.wait(20)
                shutil.rmtree(base)
