"""The account that a server runs as: one's own, or `nobody` where one is root and the server refuses root."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any


class ServerAccount:
    """Runs commands and owns folders on behalf of a server that must not be root."""

    def __init__(self) -> None:
        self._other: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def run(self, *command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs a command in a folder to its end; a failure is the caller's to see in `returncode` and `stderr`.

        Raises:
            PermissionError: the account may not execute the program.
        """
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **self._other)

    def can(self, *command: str | Path) -> bool:
        """Whether a command succeeds for this account; as to one's own account it is taken for granted."""
        if not self._other:
            return True
        try:
            return self.run(*command, folder=Path("/")).returncode == 0
        except PermissionError:
            return False

    def give(self, path: Path) -> None:
        """Makes the account the owner of a file or folder, not of what is inside."""
        if self._other:
            os.chown(path, self._other["user"], self._other["group"], follow_symlinks=False)
