"""What the pages load: modules, styles, and the JavaScript of Vega and Vega-Lite from vl-convert's bundle.

All of it has addresses that hold its digest, so that a browser keeps it and never asks for it again.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import version
from threading import Lock

STATIC = "/static/"
VEGA = "vega.js"
"""The name under which the bundle is served. It takes vl-convert seconds to make, so that it is made when asked for."""
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_SNIPPET = "globalThis.vegaEmbed = vegaEmbed;"
_IMPORT = re.compile(r'(?:from|import)\s*"\./([^"]+)"')
_MAKING = Lock()


@dataclass(frozen=True)
class Asset:
    """A file's bytes, the same compressed by gzip, its media type, and a tag for each of the two."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str
    compressed_tag: str


def find_asset(name: str) -> Asset | None:
    """The asset of that name; None if there is none."""
    if name == VEGA:
        # One at a time: each needs a JavaScript engine of its own, and the others find what the first one made.
        with _MAKING:
            return _vega()
    return _files().get(name)


@cache
def release() -> str:
    """A digest of all assets: a part of their addresses, under which modules import each other by relative ones."""
    found = hashlib.sha256(version("vl-convert-python").encode())
    for name, asset in sorted(_files().items()):
        found.update(f"\0{name}\0".encode() + asset.content)
    return found.hexdigest()[:16]


def asset_path(name: str) -> str:
    """The path of an asset of this release."""
    return f"{STATIC}{release()}/{name}"


@cache
def imported_modules(name: str) -> tuple[str, ...]:
    """The modules that a module imports, those that they import, and so on; without those that are loaded later."""
    found: list[str] = []
    remaining = [name]
    while remaining:
        for other in _IMPORT.findall(_files()[remaining.pop()].content.decode()):
            if other not in (*found, name):
                found.append(other)
                remaining.append(other)
    return tuple(found)


@cache
def _files() -> dict[str, Asset]:
    folder = resources.files("api.web") / "static"
    return {
        file.name: _asset(file.read_bytes(), _MEDIA_TYPES[file.name[file.name.rindex(".") :]])
        for file in folder.iterdir()
    }


@cache
def _vega() -> Asset:
    import vl_convert

    return _asset(vl_convert.javascript_bundle(_SNIPPET).encode(), _MEDIA_TYPES[".js"])


def _asset(content: bytes, media_type: str) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Asset(content, gzip.compress(content, mtime=0), media_type, f'"{digest}"', f'"{digest}-gzip"')
