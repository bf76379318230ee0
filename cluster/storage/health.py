"""Whether a folder can take results."""

import os
import shutil

from cluster.storage.base import Folder, cause_of
from cluster.storage.local import LocalFolder
from cluster.storage.s3 import ObjectFolder

LEAST_ROOM = 100 << 20
"""With less free space than this on its disk (bytes) a folder accepts no new runs."""


def why_not_writable(folder: Folder) -> str | None:
    """Why a folder cannot take results: no space, no permission, or no response. None if it can."""
    try:
        if isinstance(folder, ObjectFolder):
            folder.check_reachable()
        if not isinstance(folder, LocalFolder):
            return None
        folder.root.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.root, os.W_OK):
            return "it cannot be written to"
        room = shutil.disk_usage(folder.root).free
    except OSError as error:
        return cause_of(error)
    return f"it has only {room >> 20} MB of free space" if room < LEAST_ROOM else None
