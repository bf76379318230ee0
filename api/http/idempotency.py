"""The `Idempotency-Key` header, after the IETF's draft: a structured-field string, or its text without the quotes.

Source: draft-ietf-httpapi-idempotency-key-header, section 2.1; RFC 9651, section 3.3.3.
"""

import re
from typing import Annotated

from fastapi import Depends, Header

from api.http.problems import Problem
from sim.faults import Fault

MOST_CHARACTERS = 255
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""Visible characters but for those that mean something in a structured field: quote, comma, semicolon, backslash."""


def idempotency_key(
    header: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A string of the client's choice; the same string and body again make no second job.",
            examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
        ),
    ] = None,
) -> str | None:
    """The key that a request gives, None if it gives none. A 400 if it is malformed, empty or too long."""
    if header is None:
        return None
    text = header.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text
    if not (quoted or _BARE.fullmatch(text)) or not 1 <= len(key) <= MOST_CHARACTERS:
        message = f'must be a string of 1 to {MOST_CHARACTERS} characters in quotes, such as "8e03978e"'
        raise Problem(400, "the idempotency key is malformed", [Fault("Idempotency-Key", header, message)])
    return key


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
