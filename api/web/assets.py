"""What the pages load: modules, styles, and the JavaScript of Vega and Vega-Lite from vl-convert's bundle."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from threading import Lock

VEGA = "vega.js"
"""The name under which the bundle is served. It takes vl-convert seconds to make, so that it is made when asked for."""
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_SNIPPET = "globalThis.vegaEmbed = vegaEmbed;"
_MAKING = Lock()


@dataclass(frozen=True)
class Asset:
    """A file's bytes, the same compressed by gzip, its media type and its tag."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str


def find_asset(name: str) -> Asset | None:
    """The asset of that name; None if there is none."""
    if name == VEGA:
        # One at a time: each needs a JavaScript engine of its own, and the others find what the first one made.
        with _MAKING:
            return _vega()
    return _files().get(name)


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
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content, gzip.compress(content, mtime=0), media_type, tag)
