"""The headers by which a client says in which form it takes an answer."""

import pytest

from api.negotiation import accepts_gzip, names_tag


@pytest.mark.parametrize("header", ["gzip", "br, gzip", "GZIP;q=0.5", "deflate;q=0.1 , gzip ; q=1"])
def test_a_client_takes_gzip(header):
    assert accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip", "*"])
def test_a_client_does_not_say_that_it_takes_gzip(header):
    assert not accepts_gzip(header)


TAG = '"0123"'


@pytest.mark.parametrize("header", [TAG, f"W/{TAG}", "*", f'"other", {TAG}', f'W/"a,b" ,W/{TAG}'])
def test_a_header_names_a_tag(header):
    assert names_tag(header, TAG)


@pytest.mark.parametrize("header", ["", "0123", '"0123-gzip"', '"other", "012"', '"a""0123"'])
def test_a_header_names_other_tags(header):
    assert not names_tag(header, TAG)
