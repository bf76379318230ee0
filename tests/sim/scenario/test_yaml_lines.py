"""YAML and JSON as plain values with lines: what is read, and what the message about a broken text says."""

import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.faults import Fault, InvalidInput
from sim.scenario.json_lines import read_json
from sim.scenario.places import MAX_DEPTH, MAX_NODES
from sim.scenario.yaml_lines import read_yaml


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\n\tb: 2\n", 2, "indent with spaces"),
        ("a:\n  b:\n\t\tc: 1\n", 3, "indent with spaces"),
        ("a:\n\t- x\n", 2, "indent with spaces"),
        ("a: 1\ntitle: Steel: the case\nb: 2\n", 2, "a colon followed by a space must be in quotes"),
        ("a:\n  - x: y: z\n", 2, "a colon followed by a space must be in quotes"),
        ("a: 1\nb: {c: 1, d: 2\ne: 3\nf: {}\n", 2, "the { opened here is never closed"),
        ("a: {\n  b: 1,\n  c: 2\nd: 3\n", 1, "the { opened here is never closed"),
        ("a: 1\nb: {c: 1,\n", 2, "the { opened here is never closed"),
        ("a: [1, 2\nb: 3\nc: 4\n", 1, "the [ opened here is never closed"),
        ("a: {b: {c: 1}\nd: 2\n", 1, "the { opened here is never closed"),
        ("a: [1, 2}\n", 1, "a comma or ] is expected at '}'"),
        ("a: {b: [1, 2] c: 2}\nd: 1\n", 1, "a comma or } is expected at 'c: 2}'"),
        ("x: 1\na: 'x\nb: 1\nc: 2\n", 2, "the text that begins with ' here is never closed"),
        ('a: "x\nb: "y"\nc: 2\n', 1, 'is a " missing?'),
        ("a: 'x\nb: 'y'\nc: 2\n", 1, "is a ' missing?"),
        ("a: 'it's'\nb: 1\n", 1, "write '' for an apostrophe"),
        ('a: "x" y\n', 1, "more text follows the closing"),
        ("a: [b] c\n", 1, "more text follows the closing ]"),
        ("a: 1\n  b: 2\n", 2, "indented deeper than line 1"),
        ("a:\n  b: 1\n c: 2\n", 3, "it has 1 spaces"),
        ("  a: 1\nb: 2\n", 2, "indented less than the first one"),
        ("a:\n  - x\n  b: 1\n", 3, "must begin with -"),
        ("a: - b\n", 1, "on a line of its own"),
        ("a:1\nb: 2\n", 1, "followed by a space"),
        ("a\nb: 2\n", 1, "no colon after it"),
        ("a: @x\n", 1, "begins with @ must be in quotes"),
        ("a: %x\n", 1, "begins with % must be in quotes"),
        ("a: *b* c\n", 1, "begins with * must be in quotes"),
        ("a: & b\n", 1, "begins with & must be in quotes"),
        ("a: }\n", 1, "was never opened"),
        ("a: |x\n", 1, "must begin on the next line"),
        ('a: "C:\\path"\n', 1, "use single quotes"),
        ("a: &x 1\nb: *x\n", 2, "aliases are not allowed"),
        ("a: &a [x]\nb: &b [*a, *a]\n", 2, "aliases are not allowed"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a: 1\nb: \x07\n", 2, "control character U+0007"),
        ("a: \ud800\n", 1, "control character U+D800"),
        ("[" * 30, 1, f"more than {MAX_DEPTH} levels"),
        ("a: [" + "1, " * MAX_NODES + "]", 1, f"more than {MAX_NODES} values"),
    ],
)
def test_a_broken_yaml_text_is_refused_with_advice_at_the_line_to_change(text, line, says):
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text, "a.yaml")
    (fault,) = caught.value.faults
    assert (fault.line, fault.source) == (line, "a.yaml")
    assert says in fault.message
    assert "token" not in fault.message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{"a": 1,\n "a": 2}', 2, "is given more than once"),
        ('{"a": 1,\n}', 2, 'remove the comma before "}"'),
        ('{"a": 1\n "b": 2}', 2, '"," or "}" is expected'),
        ('{"a": [1,\n2', 1, 'the "[" opened here is never closed'),
        ('{\n"a": "x}', 2, "in double quotes that begins here is never closed"),
        ("{\n'a': 1}", 2, "a name in double quotes"),
        ("{\"a\":\n'x'}", 2, "double quotes, not in single ones"),
        ('{"a": 1}\nx', 2, "after the end"),
        ('{"a" 1}', 1, '":" after the name "a"'),
        ("a: 1", 1, "not valid JSON"),
        ("[" * 30, 1, f"more than {MAX_DEPTH} levels"),
        ("  \n", None, "is empty"),
    ],
)
def test_a_broken_json_text_is_refused_with_advice_at_the_line_to_change(text, line, says):
    try:
        _, _, faults = read_json(text, "a.json")
    except InvalidInput as refused:
        faults = refused.faults
    assert [fault.line for fault in faults] == [line]
    assert says in faults[0].message


_texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff"), max_size=12
).filter(lambda text: not re.fullmatch(r"[-+]?\d+e[-+]?\d+", text, re.IGNORECASE))
"""Without texts such as 0E0, which PyYAML writes without quotes though they are numbers in JSON and here."""
_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False, allow_infinity=False),
        _texts,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.dictionaries(_texts, _values, min_size=1, max_size=4), st.sampled_from([None, 1, 3]))
def test_a_document_reads_the_same_from_json_from_yaml_and_from_json_as_yaml(document, indent):
    """JSON without escapes is YAML as well: values and lines agree."""
    value, lines, faults = read_json(json.dumps(document, indent=indent), "a.json")
    assert (value, faults) == (document, ())
    plain = json.dumps(document, indent=indent, ensure_ascii=False)
    assert read_yaml(plain, "a.yaml") == (document, lines, ())
    dumped = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    assert read_yaml(dumped, "a.yaml")[0] == document


@settings(max_examples=200)
@given(st.text("ab:-{}[],'\"#&*!|>%@ \n\t\\1?", max_size=40))
def test_any_text_is_read_or_refused(text):
    for read in (read_yaml, read_json):
        faults: tuple[Fault, ...] = ()
        try:
            _, _, faults = read(text, "a")
        except InvalidInput as refused:
            faults = refused.faults
        assert all(fault.line is None or 1 <= fault.line <= text.count("\n") + 1 for fault in faults)


def test_words_of_old_yaml_are_texts_and_numbers_are_those_of_json():
    text = "a: yes\nb: no\nc: 2024-01-01\nd: 1_000\ne: 0o17\nf: 1e-3\ng: 12:30:45\nh: ~\ni: .5\nj: 007"
    assert read_yaml(text, "a")[0] == {
        "a": "yes",
        "b": "no",
        "c": "2024-01-01",
        "d": "1_000",
        "e": "0o17",
        "f": 1e-3,
        "g": "12:30:45",
        "h": None,
        "i": 0.5,
        "j": 7,
    }
