"""Which format a body is in."""

import time

import pytest

from feedd.errors import FormatError
from feedd.formats import recognize


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'[{"id": 1}]', "json"),
        (b'\xef\xbb\xbf \n {"products": [', "json"),
        (b'{"id": 1}', "json"),
        (b'{"id": 1}\n', "json"),
        (b'{\n  "products": [\n    {"id": 1},\n    {"id": 2}\n  ]\n}', "json"),
        (b'{"products": [\n{"id": 1},\n{"id": 2}\n]}', "json"),
        (b'[\n{"id": 1},\n{"id": 2}\n]', "json"),
        (b'{"id": 1}\n{"id": 2}\n', "jsonl"),
        (b'{"id": 1}\r\n\r\n{"id": 2', "jsonl"),
        (b'<?xml version="1.0"?><rss/>', "xml"),
        (b"\n\n <products>", "xml"),
        (b"<!-- made by a shop --><feed>", "xml"),
        (b'<!DOCTYPE rss SYSTEM "x.dtd"><rss/>', "xml"),
        ("<rss/>".encode("utf-16"), "xml"),
        ('<?xml version="1.0"?>'.encode("utf-16-be"), "xml"),
        ('{"id": 1}\n{"id": 2}\n'.encode("utf-16-le"), "jsonl"),
    ],
)
def test_the_body_tells_its_format(head: bytes, name: str) -> None:
    assert recognize(head, content_type="text/html; charset=utf-8", name_hint="/feed") == name


@pytest.mark.parametrize(
    ("content_type", "name_hint"),
    [
        ("application/x-ndjson", None),
        ("application/jsonl; charset=utf-8", ""),
        (None, "https://shop.example/feed.JSONL"),
    ],
)
def test_a_single_line_is_json_lines_where_server_or_name_say_so(
    content_type: str | None, name_hint: str | None
) -> None:
    head = b'{"id": 1}\n'
    assert recognize(head, content_type=content_type, name_hint=name_hint) == "jsonl"
    assert recognize(b"[1]", content_type=content_type, name_hint=name_hint) == "json"


def test_a_json_ld_file_is_no_json_lines() -> None:
    head = b'{"@context": "https://schema.org", "@graph": []}\n'
    assert recognize(head, content_type="application/ld+json", name_hint="/shop.jsonld") == "json"


@pytest.mark.parametrize(
    ("head", "code", "says"),
    [
        (b"", "empty_body", "empty"),
        (b"\r\n \t", "empty_body", "empty"),
        (b"<!DOCTYPE HTML><html><head><title>Our  shop</title>", "html_page", '"Our shop"'),
        (b"<!-- x --><HTML lang=en>", "html_page", "web page"),
        (
            b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML">',
            "html_page",
            "web page",
        ),
        (b'<html><form><input type="password">', "html_page", "login page"),
        (b"\x1f\x8b\x08\x00\x00", "unknown_format", "gzip"),
        (b"PK\x03\x04....", "unknown_format", "zip"),
        (b"id,title,price\n1,Shirt,10\n", "unknown_format", "CSV"),
        (b"Service Unavailable", "unknown_format", "'Service Unavailable'"),
        (b"\x00\x01\x02", "unknown_format", "neither JSON"),
        (b'<?xml version="1.0" encoding="UTF-7"?>', "unknown_encoding", "'UTF-7'"),
    ],
)
def test_what_is_no_feed_is_refused_with_a_reason(head: bytes, code: str, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        recognize(head, content_type=None, name_hint=None)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("head", [b"," * 65_536, b"a|" * 30_000, b"<html>" + b"<title>" * 9_000])
def test_what_only_looks_like_something_is_refused_at_once(head: bytes) -> None:
    began = time.process_time()
    with pytest.raises(FormatError):
        recognize(head, content_type=None, name_hint=None)
    assert time.process_time() - began < 1
