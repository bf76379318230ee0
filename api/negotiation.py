"""What the headers of a request say of the form in which its answer may come (RFC 9110)."""

import re


def accepts_gzip(header: str) -> bool:
    """Whether a header ``Accept-Encoding`` names gzip and does not refuse it by a weight of 0."""
    for part in header.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        if name == "gzip":
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", one) for one in parameters)
    return False


def names_tag(header: str, tag: str) -> bool:
    """Whether a header ``If-None-Match`` or ``If-Match`` names a tag, weak or not, or any by ``*`` (13.1.2)."""
    return header.strip() == "*" or tag in re.findall(r'(?:^|,)\s*(?:W/)?("[^"]*")(?=\s*(?:,|$))', header)
