"""The folder at an address."""

import os
import re
from pathlib import Path

from cluster.storage.base import Folder
from cluster.storage.local import LocalFolder
from sim.faults import Fault, InvalidInput

_S3 = "s3://"
_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


def open_folder(address: str | os.PathLike[str]) -> Folder:
    """The folder at an address: a path, or ``s3://bucket/prefix``. Nothing is created or read yet.

    An object store's end point and credentials come from the environment, under the names that every S3 client reads
    (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...). Raises `InvalidInput` for an address that names no bucket.
    """
    text = os.fspath(address)
    if "\0" in text:
        raise InvalidInput((Fault("folder", text, "must be a path, or s3://bucket/prefix"),))
    if not text.startswith(_S3):
        if _URL.match(text):
            # It would be a folder of that name. The text may contain a secret, so the message does not repeat it.
            message = "must be a path, or s3://bucket/prefix: no other URL is supported"
            raise InvalidInput((Fault("folder", None, message),))
        return LocalFolder(Path(text).absolute())
    bucket, _, prefix = text.removeprefix(_S3).strip("/").partition("/")
    if not bucket or not prefix:
        raise InvalidInput((Fault("folder", text, "must be a path, or s3://bucket/prefix"),))
    if ":" in bucket or "@" in bucket:
        # The text may contain a secret, so the message does not repeat it.
        raise InvalidInput((Fault("folder", None, "must hold no credentials: they come from the environment"),))
    if any(part in ("", ".", "..") or not part.isprintable() for part in prefix.split("/")):
        message = "must have a prefix of printable characters whose parts are not empty, and neither . nor .."
        raise InvalidInput((Fault("folder", text, message),))
    # The object store's client is slow to import, and local folders do not need it.
    from cluster.storage.s3 import ObjectFolder

    return ObjectFolder(bucket, prefix)
