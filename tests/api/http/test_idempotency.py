"""The header `Idempotency-Key`: quoted and bare strings, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.idempotency import MOST_CHARACTERS, idempotency_key
from api.http.problems import Problem

VISIBLE = "".join(map(chr, range(0x20, 0x7F)))
BARE = "".join(sorted(set(VISIBLE) - set(' ",;\\')))


def test_without_a_header_there_is_no_key():
    assert idempotency_key(None) is None


@given(st.text(VISIBLE, min_size=1, max_size=MOST_CHARACTERS))
def test_any_visible_text_can_be_sent_in_quotes(key: str):
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    assert idempotency_key(f'"{escaped}"') == key
    assert idempotency_key(f' \t"{escaped}" ') == key


@given(st.text(BARE, min_size=1, max_size=MOST_CHARACTERS))
def test_a_key_is_the_same_with_and_without_quotes(key: str):
    assert idempotency_key(key) == idempotency_key(f'"{key}"') == key


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", '""', '"', '"open', 'open"', 'a"b', "a b", "a,b", "a;b", "a\\b", '"a" "b"', '"a"; x=1', '"a\\n"'),
        *("é", "\x7f", '"\x00"', '"' + "x" * (MOST_CHARACTERS + 1) + '"', "x" * (MOST_CHARACTERS + 1)),
    ],
)
def test_a_malformed_key_is_refused_with_its_header(header: str):
    with pytest.raises(Problem) as refused:
        idempotency_key(header)
    (fault,) = refused.value.faults
    assert (refused.value.status, fault.field) == (400, "Idempotency-Key")
    assert f"1 to {MOST_CHARACTERS} characters" in fault.message
