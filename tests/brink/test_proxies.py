"""Proxies of the environment: never for this machine, and named in errors."""

import socket

import pytest

from brink import AsyncBrink, Brink, BrinkError
from brink.proxies import is_loopback, proxy_for
from tests.support.faulty_line import faulty_line

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "brink.localhost"])
def test_this_machine_is_recognised(host):
    assert is_loopback(host)
    assert not is_loopback("example.com")
    assert not is_loopback("10.0.0.1")


@pytest.mark.parametrize("client", [Brink, AsyncBrink])
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_this_machine_is_reached_without_a_proxy(client, variable, monkeypatch):
    monkeypatch.setenv(variable, "socks5://127.0.0.1:9")
    assert client("http://127.0.0.1:8000")._proxy is None
    assert client("http://localhost:8000")._proxy is None


def test_the_proxy_of_the_scheme_comes_before_that_of_all(monkeypatch):
    monkeypatch.setenv("all_proxy", "http://all.example:1")
    monkeypatch.setenv("https_proxy", "web.example:2")
    secure, plain = proxy_for("https://brink.example"), proxy_for("http://brink.example")
    assert (secure.url, secure.variable) == ("http://web.example:2", "https_proxy")
    assert (plain.url, plain.variable) == ("http://all.example:1", "all_proxy")
    monkeypatch.setenv("no_proxy", "brink.example")
    assert proxy_for("http://brink.example") is None
    assert proxy_for("http://other.example") is not None


@pytest.mark.parametrize("client", [Brink, AsyncBrink])
@pytest.mark.parametrize(("proxy", "reason"), [("socks5://user:secret@p.example:9", "socksio"), ("ftp://p", "scheme")])
def test_a_proxy_that_cannot_be_used_is_named(client, proxy, reason, monkeypatch):
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(BrinkError, match=f"all_proxy names the proxy .*cannot be used: .*{reason}") as refused:
        client("http://brink.example")
    assert "secret" not in str(refused.value)


def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with (
            Brink("http://brink.example", patience=0.0) as brink,
            pytest.raises(BrinkError, match="does not respond through the proxy of http_proxy"),
        ):
            brink.scenarios()


def test_an_answer_of_a_proxy_is_not_taken_for_one_of_the_service(monkeypatch):
    page = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\nno no"
    with faulty_line(9) as line:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{line.port}")
        line.faults = [page]
        with Brink("http://brink.example") as brink, pytest.raises(BrinkError, match=r"403 Forbidden.*of http_proxy"):
            brink.scenarios()
        line.faults = [page.replace(b"403 Forbidden", b"200 OK")]
        with Brink("http://brink.example") as brink, pytest.raises(BrinkError, match="not answered as by a Brink"):
            brink.scenarios()
