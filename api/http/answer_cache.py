"""Answers that are asked for again in the same words, from the memory of this web process."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from cluster.answers.registry import ask
from cluster.query.memory_cache import MemoryCache
from cluster.query.session import check_time
from cluster.query.trials import StoredRun
from cluster.results.result_folder import COUNTS_FOLDER, TRIALS_FOLDER

MAX_BYTES = 64 << 20
"""The bytes that cached answers may have in all."""
_TRIALS = (f"{TRIALS_FOLDER}/", f"{COUNTS_FOLDER}/")

AnswerCache = MemoryCache[bytes]
"""JSON texts of answers by a digest of the run, its committed files and the request."""


def ask_once(cache: AnswerCache, run: StoredRun, name: str, fields: Mapping[str, object]) -> bytes:
    """An answer's document as JSON, computed only if it is not in the cache for these words and these committed files.

    Raises what `cluster.answers.registry.ask` raises.
    """
    return compute_once(cache, (run,), name, fields, lambda: ask(run, name, fields, on_progress=_check))


def _check(*_: object) -> None:
    check_time()


def compute_once(
    cache: AnswerCache,
    runs: Sequence[StoredRun],
    name: str,
    fields: Mapping[str, object],
    compute: Callable[[], Mapping[str, object]],
) -> bytes:
    """A document about some runs as JSON, computed only if the cache has none for these words and committed files."""
    # Listed before the answer is computed: an answer from more files than were listed is not found again.
    listed = [
        (
            run.folder.address,
            run.plan.trials,
            [(one.name, one.tag) for one in run.folder.entries() if one.name.startswith(_TRIALS)],
        )
        for run in runs
    ]
    words = json.dumps([listed, name, fields], sort_keys=True)
    key = hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()
    # A page asks for an answer and for its charts at once: one request computes it, and the others wait for it.
    with cache.computing(key):
        text = cache.find(key)
        if text is None:
            text = json.dumps(compute(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            cache.put(key, text, len(text))
    return text
