"""Files over HTTP: whole, in part, by their tags, and their headers alone."""

import pytest

from tests.support.requests import SMALL_JOB
from tests.support.served import served


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Asks for a file of a finished job with the given headers."""
    with served(tmp_path_factory.mktemp("files")) as service:
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
        service.work()
        path = f"/v1/jobs/{job}/files/run.json"
        yield lambda method="GET", **headers: service.ask(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


@pytest.fixture(scope="module")
def whole(file):
    return file()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", W/{tag}', 304),
        ('"a,b" ,{tag}', 304),
        ("*", 304),
        ('"other"', 200),
        ('"*"', 200),
        ('"x{bare}"', 200),
        ('"other{tag}', 200),
        ("{bare}", 200),
    ],
)
def test_if_none_match_may_be_a_list_of_tags(file, whole, header, status):
    tag = whole.headers["ETag"]
    answer = file(If_None_Match=header.format(tag=tag, bare=tag.strip('"')))
    assert (answer.status_code, answer.content) == (status, whole.content if status == 200 else b"")
    assert answer.headers["ETag"] == tag


@pytest.mark.parametrize("condition", ["Wed, 21 Oct 2026 07:28:00 GMT", "W/{tag}", '"other"', "{tag}"])
def test_a_range_is_served_only_of_the_file_that_if_range_names(file, whole, condition):
    answer = file(Range="bytes=2-5", If_Range=condition.format(tag=whole.headers["ETag"]))
    same = condition == "{tag}"
    assert (answer.status_code, answer.content) == ((206, whole.content[2:6]) if same else (200, whole.content))


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=0-1", "bytes=-", "bytes=a-b"])
def test_the_whole_file_is_served_if_the_header_is_not_a_single_range(file, whole, asked):
    answer = file(Range=asked)
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert "Content-Range" not in answer.headers


def test_a_range_ends_where_the_file_ends(file, whole):
    size = len(whole.content)
    for asked, content in (
        (f"bytes={size - 3}-{size + 99}", whole.content[-3:]),
        ("bytes=-3", whole.content[-3:]),
        (f"bytes=-{size + 99}", whole.content),
    ):
        answer = file(Range=asked)
        assert (answer.status_code, answer.content) == (206, content)
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = file(Range=asked)
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_a_head_request_has_the_headers_of_the_file(file, whole):
    head = file("HEAD", Range="bytes=0-1")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Accept-Ranges", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]
    assert file("HEAD", If_None_Match=whole.headers["ETag"]).status_code == 304
