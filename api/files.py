"""Files that a command writes for the user."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends without an error.

    A file that was there before stays as it is until then. Raises `OSError` that names `path`.
    """
    final = path.resolve()
    draft = final.with_name(f".{uuid.uuid4().hex}")
    try:
        yield draft
        draft.replace(final)
    except OSError as error:
        if error.filename not in (None, str(draft)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        draft.unlink(missing_ok=True)
