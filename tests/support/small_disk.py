"""A disk that is soon full."""

import resource
import subprocess
from pathlib import Path


class SmallDisk:
    """A file system of a few hundred kilobytes, or where none can be mounted a bound on what a file may hold.

    The jobs database is elsewhere, in another process, and keeps its room.
    """

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        if not self.mounted:
            self._bound(20_000)

    def remount(self, options: str) -> None:
        """Change a mounted disk; without one, `ro` bounds files at nothing, and all else frees them."""
        if self.mounted:
            subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)
        else:
            self._bound(0 if options == "ro" else resource.RLIM_INFINITY)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", self.folder], check=True)
        else:
            self._bound(resource.RLIM_INFINITY)

    @staticmethod
    def _bound(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
