"""Places in a document: the path of a value, the line at which it begins in a file, and the field's name for people."""

Path = tuple[str | int, ...]
Lines = dict[Path, int]
MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 50_000
LONGEST_SHOWN = 80
"""Characters of a key that a message shows."""


def field_name(path: Path) -> str:
    """A path as people write it: ``issues.dealer-access.gap``, ``correlations[0].spearman``; long names cut short."""
    name = ""
    for part in path:
        shown = str(part)[:LONGEST_SHOWN]
        name += f"[{part}]" if isinstance(part, int) else f".{shown}" if name else shown
    return name
