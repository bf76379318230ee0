"""Which proxy requests to an address take: that of the environment, and none for this machine itself."""

import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import httpx

from brink.errors import BrinkError


@dataclass(frozen=True)
class Proxy:
    """A proxy's address, and the environment variable that names it."""

    url: str
    variable: str


def proxy_for(url: str) -> Proxy | None:
    """The proxy for an address, None for a direct connection. Addresses of this machine never take one."""
    parts = httpx.URL(url)
    if is_loopback(parts.host) or proxy_bypass(parts.host):
        return None
    known = getproxies()
    for kind in (parts.scheme, "all"):
        if known.get(kind):
            names = (f"{kind}_proxy", f"{kind}_proxy".upper())
            variable = next((name for name in names if os.environ.get(name)), "the system's settings")
            found = known[kind]
            return Proxy(found if "://" in found else f"http://{found}", variable)
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@contextmanager
def proxy_errors(proxy: Proxy | None) -> Iterator[None]:
    """Raises a `BrinkError` that names the variable if a proxy cannot be used; no password in its address is shown."""
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        if proxy is None:
            raise
        shown = re.sub(r"//[^/@]*@", "//***@", proxy.url)
        reason = "SOCKS needs the package socksio" if isinstance(error, ImportError) else str(error)
        raise BrinkError(
            f"{proxy.variable} names the proxy {shown}, which cannot be used: {reason}; "
            "no_proxy may list hosts that are reached without it"
        ) from None
