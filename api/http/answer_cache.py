"""Answers that are asked for again in the same words, from the memory of this web process."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from cluster.answers.registry import ask
from cluster.query.trials import StoredRun
from cluster.results.result_folder import TRIALS_FOLDER

MAX_BYTES = 64 << 20
"""Bytes of answers that are kept; of those used least recently the first are dropped."""


class AnswerCache:
    """JSON texts of answers by a digest of the run, its committed files and the request. Any thread may use it."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._texts: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: bytes) -> bytes | None:
        """The text kept under a key."""
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)

    def keep(self, key: bytes, text: bytes) -> None:
        """Keep a text, unless it is larger than all that may be kept."""
        if len(text) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(text) - len(self._texts.pop(key, b""))
            self._texts[key] = text
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._texts.popitem(last=False)[1])


def ask_once(cache: AnswerCache, run: StoredRun, name: str, fields: Mapping[str, object]) -> bytes:
    """An answer's document as JSON, computed only if it is not kept for these words and these committed files.

    Raises what `cluster.answers.registry.ask` raises.
    """
    return compute_once(cache, (run,), name, fields, lambda: ask(run, name, fields))


def compute_once(
    cache: AnswerCache,
    runs: Sequence[StoredRun],
    name: str,
    fields: Mapping[str, object],
    compute: Callable[[], Mapping[str, object]],
) -> bytes:
    """A document about some runs as JSON, computed only if it is not kept for these words and these committed files."""
    # Listed before the answer is computed: an answer from more files than were listed is not found again.
    listed = [
        (
            run.folder.address,
            run.plan.trials,
            [(one.name, one.tag) for one in run.folder.entries() if one.name.startswith(f"{TRIALS_FOLDER}/")],
        )
        for run in runs
    ]
    words = json.dumps([listed, name, fields], sort_keys=True)
    key = hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()
    text = cache.find(key)
    if text is None:
        text = json.dumps(compute(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        cache.keep(key, text)
    return text
