"""Expressions over a trial's columns: conditions such as ``threat_week <= 5 and agreement_week is null``, and measures
such as ``export_gain - sender_cost``.

An expression is parsed into a tree and never run as code. The precedence is the usual one: ``not`` before ``and``
before ``or``. A comparison with null, or with what is undefined such as 0 / 0, is false, and ``!=`` is the opposite of
``==``. A number compared with a float32 column is rounded as the column is: 0.3 equals a stored 0.3.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from sim.faults import Fault, InvalidInput, decimal_comma
from sim.scenario.columns import Column, columns
from sim.scenario.distributions import Distribution, has_atoms
from sim.scenario.parameters import PARAMETERS
from sim.scenario.vocabulary import NAMED

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

MAX_LENGTH = 2000
MAX_DEPTH = 40
MAX_OPERATIONS = 200
"""Additions, subtractions, multiplications and divisions of an expression."""

NUMBER, TEXT, TRUTH = "number", "text", "truth"
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_WORDS = ("and", "or", "not", "is", "null", "in", "between", "true", "false")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)|(?P<sign>==|!=|<>|<=|>=|[-+*/()<>=,]))"
)


@dataclass(frozen=True)
class Expression:
    """A node of a parsed expression: its operation, its parts, and whether it is a number, a text or a truth value.

    `operation` is ``column`` (whose name is `value`), ``literal`` (whose value is `value`), ``-`` with one part, an
    arithmetic or comparison sign, ``and``, ``or``, ``not``, ``is null`` or ``in`` (the first part in the others).
    """

    operation: str
    kind: str
    parts: tuple["Expression", ...] = ()
    value: str | float | bool | None = None

    def columns(self) -> set[str]:
        """The columns that the expression reads."""
        own = {str(self.value)} if self.operation == "column" else set()
        return own.union(*(part.columns() for part in self.parts))

    def __str__(self) -> str:
        """The expression with every parenthesis written out."""
        shown = [str(part) for part in self.parts]
        if self.operation == "column":
            return str(self.value)
        if self.operation == "literal":
            return str(self.value).lower() if isinstance(self.value, bool) else _literal(self.value)
        if self.operation == "is null":
            return f"({shown[0]} is null)"
        if self.operation == "in":
            return f"({shown[0]} in ({', '.join(shown[1:])}))"
        if len(shown) == 1:
            return f"({self.operation} {shown[0]})"
        return f"({f' {self.operation} '.join(shown)})"


def parse_condition(text: str, scenario: "Scenario", field: str = "given") -> Expression:
    """Parse a condition over a scenario's columns. Raises `InvalidInput` that names `field`.

    Refused is also equality of a continuous parameter with a number, which holds in no trial.
    """
    found = parse_expression(text, scenario, field)
    if found.kind != TRUTH:
        raise InvalidInput((Fault(field, text, "must be a condition, such as agreement_week > 6"),))
    for name, value in _equalities(found):
        if name in scenario.uncertain:
            worlds = _distributions(scenario, name)
            if not any(has_atoms(distribution) for distribution in worlds):
                raise InvalidInput((Fault(field, text, _range_instead(name, value, worlds)),))
    return found


def parse_measure(text: str, scenario: "Scenario", field: str = "measure") -> Expression:
    """Parse a measure over a scenario's columns: a number, or a condition as 0 and 1. Raises `InvalidInput`."""
    found = parse_expression(text, scenario, field)
    if found.kind == TEXT:
        raise InvalidInput((Fault(field, text, "must be a number or a condition, such as export_gain"),))
    return found


def parse_expression(text: str, scenario: "Scenario", field: str) -> Expression:
    """Parse an expression of any kind over a scenario's columns. Raises `InvalidInput` that names `field`."""
    return parse_over({column.name: column for column in columns(scenario) if column.name != "strategy"}, text, field)


def parse_over(known: Mapping[str, Column], text: str, field: str) -> Expression:
    """Parse an expression of any kind over the given columns. Raises `InvalidInput` that names `field`."""

    def refuse(message: str) -> InvalidInput:
        return InvalidInput((Fault(field, text if len(text) < 200 else f"{text[:200]}...", message),))

    if not text.strip():
        raise refuse("must not be empty")
    if len(text) > MAX_LENGTH:
        raise refuse(f"must be at most {MAX_LENGTH} characters long, not {len(text)}")
    reader = _Reader(_tokens(text, known, refuse), known, refuse)
    found = reader.disjunction(0)
    reader.expect_end()
    return found


NEARBY = 0.05
"""How much of a parameter's distribution a suggested range has on either side of a value."""


def _equalities(found: Expression) -> Iterator[tuple[str, float]]:
    """The columns that a condition compares with a number by ==, != or in, and the number."""
    if found.operation in ("==", "!=", "in"):
        for one, other in itertools.permutations(found.parts, 2):
            if one.operation == "column" and other.operation == "literal" and isinstance(other.value, float):
                yield str(one.value), other.value
    for part in found.parts:
        yield from _equalities(part)


def _distributions(scenario: "Scenario", name: str) -> list[Distribution]:
    if name in scenario.interventions:
        return [scenario.interventions[name]]
    return [scenario.base[name], *(world[name] for world in scenario.strategies.values() if name in world)]


def _range_instead(name: str, value: float, worlds: list[Distribution]) -> str:
    """The message that suggests a range instead of equality with a continuous parameter."""
    drawn = worlds[0]
    level = min(max(float(drawn.cdf(np.array([value]))[0]), NEARBY), 1.0 - NEARBY)
    low, high = drawn.quantile(np.clip(np.array([level - NEARBY, level + NEARBY]), 2.0**-20, 1.0 - 2.0**-20))
    return (
        f"compares {name}, which is drawn from a continuous distribution, with a single number; ask for a range, such "
        f"as {name} between {low:.3g} and {high:.3g}, which about {200 * NEARBY:.0f} % of trials have"
    )


def _tokens(text: str, known: Mapping[str, Column], refuse: Callable[[str], InvalidInput]) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].strip()
            raise refuse((rest.startswith(",") and decimal_comma(text)) or f"cannot be read at {rest[:20]!r}")
        kind = match.lastgroup or ""
        token = match[kind]
        end = match.end()
        if kind == "name" and token not in known:
            # A hyphen belongs to a name only if a known name has it.
            shorter = [token[:k] for k in range(len(token), 0, -1) if token[k : k + 1] == "-"]
            fitting = next((name for name in shorter if name in known or name in NAMED or name in _WORDS), None)
            if fitting is not None and token not in NAMED:
                end -= len(token) - len(fitting)
                token = fitting
        if kind == "name" and token.lower() in _WORDS and token not in known:
            kind, token = "word", token.lower()
        tokens.append((kind, {"=": "==", "<>": "!="}.get(token, token)))
        at = end
    return tokens


class _Reader:
    """Reads tokens by recursive descent; every method takes the depth at which it is."""

    def __init__(
        self,
        tokens: list[tuple[str, str]],
        known: Mapping[str, Column],
        refuse: Callable[[str], InvalidInput],
    ) -> None:
        self.tokens, self.known, self.refuse = tokens, known, refuse
        self.at = self.operations = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def accept(self, *choices: str) -> str | None:
        kind, token = self.peek()
        if kind in ("word", "sign") and token in choices:
            self.at += 1
            return token
        return None

    def expect(self, choice: str) -> None:
        if not self.accept(choice):
            raise self.refuse(f"expects {choice!r} {self._where()}")

    def expect_end(self) -> None:
        if self.peek()[0] != "end":
            raise self.refuse(f"cannot be read {self._where()}")

    def _where(self) -> str:
        kind, token = self.peek()
        return "at its end" if kind == "end" else f"at {token!r}"

    def disjunction(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.refuse(f"must not be nested more than {MAX_DEPTH} deep")
        return self._chain("or", self.conjunction, depth)

    def conjunction(self, depth: int) -> Expression:
        return self._chain("and", self.negation, depth)

    def _chain(self, word: str, part: Callable[[int], Expression], depth: int) -> Expression:
        parts = [part(depth)]
        while self.accept(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else Expression(word, TRUTH, tuple(self._truth(one) for one in parts))

    def negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.refuse(f"must not be nested more than {MAX_DEPTH} deep")
        if self.accept("not"):
            return Expression("not", TRUTH, (self._truth(self.negation(depth + 1)),))
        return self.comparison(depth)

    def comparison(self, depth: int) -> Expression:
        left = self.sum(depth)
        sign = self.accept(*COMPARISONS)
        if sign:
            return self._compare(sign, left, self.sum(depth))
        if self.accept("is"):
            negated = self.accept("not")
            self.expect("null")
            return self._perhaps_not(negated, Expression("is null", TRUTH, (left,)))
        negated = self.accept("not")
        if self.accept("in"):
            return self._perhaps_not(negated, self._membership(left, depth))
        if self.accept("between"):
            low = self.sum(depth)
            self.expect("and")
            both = (self._compare(">=", left, low), self._compare("<=", left, self.sum(depth)))
            return self._perhaps_not(negated, Expression("and", TRUTH, both))
        if negated:
            raise self.refuse(f"expects 'in' or 'between' {self._where()}")
        return left

    def _membership(self, left: Expression, depth: int) -> Expression:
        self.expect("(")
        choices = [self.sum(depth)]
        while self.accept(","):
            choices.append(self.sum(depth))
        self.expect(")")
        compared = [self._compare("==", left, choice).parts[1] for choice in choices]
        return Expression("in", TRUTH, (left, *compared))

    def _perhaps_not(self, negated: str | None, found: Expression) -> Expression:
        return Expression("not", TRUTH, (found,)) if negated else found

    def _compare(self, sign: str, left: Expression, right: Expression) -> Expression:
        if left.kind != right.kind:
            raise self.refuse(f"compares a {left.kind} ({left}) with a {right.kind} ({right})")
        if left.kind != NUMBER and sign not in ("==", "!="):
            raise self.refuse(f"has {sign} between values that have no order ({left} and {right})")
        for one, other in ((left, right), (right, left)):
            if one.operation == "column" and one.kind == TEXT and other.operation == "literal":
                categories = self.known[str(one.value)].categories
                if other.value not in categories:
                    raise self.refuse(f"compares {one} with {other}; it can be {', '.join(categories)}")
        return Expression(sign, TRUTH, (self._as_stored(left, right), self._as_stored(right, left)))

    def _as_stored(self, found: Expression, column: Expression) -> Expression:
        """A number as it would be stored in the column that it is compared with."""
        if column.operation != "column" or self.known[str(column.value)].kind != "float32":
            return found
        if found.operation == "-" and len(found.parts) == 1:
            return replace(found, parts=(self._as_stored(found.parts[0], column),))
        return replace(found, value=_rounded(found.value)) if isinstance(found.value, float) else found

    def _truth(self, found: Expression) -> Expression:
        if found.kind != TRUTH:
            raise self.refuse(f"needs a condition where it has {found}")
        return found

    def sum(self, depth: int) -> Expression:
        return self._arithmetic(("+", "-"), self.product, depth)

    def product(self, depth: int) -> Expression:
        return self._arithmetic(("*", "/"), self.factor, depth)

    def _arithmetic(self, signs: tuple[str, ...], part: Callable[[int], Expression], depth: int) -> Expression:
        left = part(depth)
        while sign := self.accept(*signs):
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise self.refuse(f"must not have more than {MAX_OPERATIONS} of + - * /")
            left = Expression(sign, NUMBER, (self._number(left), self._number(part(depth))))
        return left

    def _number(self, found: Expression) -> Expression:
        if found.kind == TEXT:
            raise self.refuse(f"needs a number where it has {found}")
        return found

    def factor(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.refuse(f"must not be nested more than {MAX_DEPTH} deep")
        if self.accept("-"):
            return Expression("-", NUMBER, (self._number(self.factor(depth + 1)),))
        if self.accept("("):
            inner = self.disjunction(depth + 1)
            self.expect(")")
            return inner
        if word := self.accept("true", "false"):
            return Expression("literal", TRUTH, value=word == "true")
        kind, token = self.peek()
        if kind not in ("number", "text", "name"):
            raise self.refuse(f"expects a column, a number or a text {self._where()}")
        self.at += 1
        if kind == "number":
            value = float(token)
            if not isfinite(value):
                raise self.refuse(f"has {token[:20]}, which is too large for a floating-point number")
            return Expression("literal", NUMBER, value=value)
        if kind == "text":
            return Expression("literal", TEXT, value=token[1:-1])
        return self._column(token)

    def _column(self, name: str) -> Expression:
        if name in self.known:
            kinds = {"category": TEXT, "bool": TRUTH}
            return Expression("column", kinds.get(self.known[name].kind, NUMBER), value=name)
        if name in NAMED:
            return _Reader(_tokens(NAMED[name], self.known, self.refuse), self.known, self.refuse).disjunction(0)
        near = get_close_matches(name, [*self.known, *NAMED], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        # A scenario has too many parameters to list them in a line.
        parameters = {one.name for one in PARAMETERS}
        listed = [one for one in self.known if one not in parameters and not one.startswith("issues.")]
        names = ", ".join(dict.fromkeys([*listed, *NAMED]))
        raise self.refuse(
            f"has {name!r}, which is not a column or event{hint}; there are: {names}, and the scenario's uncertain "
            "parameters"
        )


def _rounded(value: float) -> float:
    """A number rounded to float32; unchanged where that would be infinite."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    return rounded if isfinite(rounded) else value


def _literal(value: object) -> str:
    if not isinstance(value, float):
        return f"'{value}'"
    # The shortest text that stands for the same number, be it rounded to float32 or not.
    short = f"{value:g}"
    return short if value in (float(short), _rounded(float(short))) else f"{value:.17g}"
