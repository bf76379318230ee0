"""What a fault prints can be printed anywhere: one line, and nothing that a terminal obeys."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.faults import Fault, InvalidInput, decimal_comma, printable

TEXTS = st.text(st.characters(), max_size=40)


def obeyed(text: str) -> list[str]:
    """The characters of a text that a terminal obeys instead of showing: controls, line breaks, directions."""
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in kinds or unicodedata.bidirectional(c) in _DIRECTIONS]


_DIRECTIONS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


@given(field=TEXTS, value=TEXTS, message=TEXTS, source=TEXTS)
@example(field="\x1b[31m", value="\x9b2J", message="is \r\n\x1b]0;title\x07", source="\u202e.yaml")
def test_a_fault_is_one_line_without_control_characters(field: str, value: str, message: str, source: str):
    fault = Fault(field, value, message, 3, source)
    assert obeyed(str(fault)) == []
    assert obeyed(str(InvalidInput((fault, fault)))) == ["\n"]


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
@example("Ōsaka \u3000 \u00a0 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469 naïve")
def test_a_text_of_any_script_is_shown_as_it_is(text: str):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("target_win > 0,6", "write 0.6 with a point"),
        ("1,5", "write 1.5 with a point"),
        ("1,000,000", None),
        ("agreement, 5", None),
        ("x1,5", None),
        ("0.5", None),
    ],
)
def test_a_decimal_comma_is_named_and_nothing_else(text: str, says: str | None):
    found = decimal_comma(text)
    assert (found is None) == (says is None)
    assert (says or "") in (found or "")
