"""JSON in particular: exact values, windows, and the grammar where the decoder is not the judge."""

import io
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from feedd.errors import FormatError
from feedd.formats import FORMATS, json_document, json_elements, json_records, json_windows
from feedd.formats.json_syntax import syntax_error, value_end
from feedd.formats.json_windows import Border
from feedd.model import Layout, Problem

ROOT = Layout(items=("",))


def decode(body: bytes, layout: Layout = ROOT) -> list[object]:
    form = FORMATS["json"]
    return [
        record
        for slices in form.slices(io.BytesIO(body), layout, None)
        for record in form.decode(slices, layout)
    ]


def test_integers_are_exact_and_floats_are_floats() -> None:
    big = 2**70 + 1
    assert decode(b'[{"id": %d, "price": 19.90, "n": -0}]' % big) == [
        {"id": big, "price": 19.9, "n": 0}
    ]


MEMBERS = Layout(items=("shop.{}",), configured=True)


def test_members_of_an_object_are_records_with_their_keys() -> None:
    body = b'{"n": 1, "shop": {"a" : {"t": [{}]}, "b\\"c": {}, "d": {"t": "},"}, "e": 5 }, "x": {"y": {}}}'
    first, second, third, last = decode(body, MEMBERS)
    assert [first, second, third] == [
        {"@key": "a", "t": [{}]},
        {"@key": 'b"c'},
        {"@key": "d", "t": "},"},
    ]
    assert isinstance(last, Problem)
    assert last.rule == "not_an_object"
    assert decode(b'{"a": {"t": 1}}', Layout(items=("{}",), configured=True)) == [
        {"@key": "a", "t": 1}
    ]
    assert decode(b'{"shop": {}}', MEMBERS) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"shop": {"a": {"t": 1}, "b": {', "truncated"),
        (b'{"shop": {"a": {"t": 1}, {"t": 2}}}', "not_well_formed"),
        (b'{"shop": {"a": {"t": 1}, "b" {"t": 2}}}', "not_well_formed"),
        (b'{"shop": {"a": {"t": 1},}}', "not_well_formed"),
        (b'{"shop": {"a": {"t" 1}}}', "not_well_formed"),
        (b'{"shop": {"a": {"t": 1}]}', "not_well_formed"),
        (b'{"shop": [{"t": 1}]}', "no_items_found"),
        (b'[{"shop": {"a": {}}}]', "no_items_found"),
    ],
)
def test_members_that_are_not_well_formed_are_no_feed(body: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        decode(body, MEMBERS)
    assert caught.value.code == code


def test_members_are_read_in_pieces_of_any_size() -> None:
    shop = {f"k{n}": {"n": n, "text": 'a "quote", {a} brace' * (n % 7)} for n in range(3000)}
    body = json.dumps({"shop": shop}).encode()
    expected = [{"@key": key, **value} for key, value in shop.items()]
    for size in (1000, 65536):
        found = [
            record
            for slices in json_document.slices(io.BytesIO(body), MEMBERS, None, piece_bytes=size)
            for record in FORMATS["json"].decode(slices, MEMBERS)
        ]
        assert found == expected


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b'{"a": 1, "a": 1}', "duplicate_member"),
        (b'{"a":1,"a":1}', "duplicate_member"),
        (b'{"a":"\\":","a":1}', "duplicate_member"),
        (b'{"\\u0061":1,"a":1}', "duplicate_member"),
        (b'{"x": [{"y": {"a"\n: 1, "a": 2}}]}', "duplicate_member"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number_out_of_range"),
        (b'{"a": "\\udc00"}', "bad_encoding"),
        (b'{"\\ud800": 1}', "bad_encoding"),
    ],
)
def test_a_sound_element_without_a_value_is_a_problem(raw: bytes, rule: str) -> None:
    first, problem, last = decode(b'[{"id": 1}, %b, {"id": 2}]' % raw)
    assert (first, last) == ({"id": 1}, {"id": 2})
    assert isinstance(problem, Problem)
    assert problem.rule == rule
    assert problem.hint
    assert problem.value


def test_a_bad_record_among_hundreds_costs_only_itself() -> None:
    records: list[object] = [{"id": n, "t": 'a "b" \\'} for n in range(500)]
    raws = [json.dumps(record).encode() for record in records]
    raws[300] = b'{"id": 300, "t": "x", "t": "y"}'
    found = decode(b"[%b]" % b",".join(raws))
    assert isinstance(found[300], Problem)
    assert found[:300] + found[301:] == records[:300] + records[301:]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "b\\": c"}',
        b'{"a" : 1, "b":":"}',
        b'{"a": {"a": {"a": 1}}}',
        b'{"a":"x : y\\":"}',
        b"{}",
    ],
)
def test_names_that_only_look_double_are_fine(raw: bytes) -> None:
    assert decode(b"[%b]" % raw) == [json.loads(raw)]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"tru", b"01", b"1.", b"-", b"+1", b".5", b"[1,]", b"[,1]", b'{"a":1,}', b'{"a"}', b"{1:2}",
        b'{"a":1 "b":2}', b"[1 2]", b'"\x01"', b'"\\q"', b'"\\u12"', b"nul", b"1 2", b"[1}", b"]", b'"', b"\xff",
        b'["\\ud800", tru]', b'["\\ud800"] x', b"[" * 3000, b"[" * 3000 + b"1" + b"]" * 2999, b"[" * 3000 + b"}" * 3000,
    ],
)  # fmt: skip
def test_what_is_malformed_is_found(raw: bytes) -> None:
    assert syntax_error(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b" 1 ", b"-0.5e+10", b"1e400", b'"\xff"', b'"\\ud800"', b'{"\\udc00": [1, {"a": null}, []], "b": {}}',
        b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000 + b'"\\ud800"' + b"}" * 3000,
    ],
)  # fmt: skip
def test_what_is_only_unusual_is_well_formed(raw: bytes) -> None:
    assert syntax_error(raw) is None


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b'x{"a": "}"} , 5', 12),
        (b'x{"a": [1, {}]}]', 15),
        (b'x["a"]\n', 7),
        (b'x{"a": [1, {', 12),
        (b'x{"a": "', 8),
        (b'x{"a": nul}, 5', 1),
        (b'x{"a": NaN}, 5', 1),
        (b"x" + b"[" * 3000 + b"]" * 3000, 1),
    ],
)
def test_the_decoder_says_where_a_value_ends(data: bytes, end: int) -> None:
    assert value_end(data, 1) == end


@pytest.mark.parametrize("items", [("products",), ("data.products", "products"), ("x", "products")])
def test_the_first_path_that_is_met_is_the_one(items: tuple[str, ...]) -> None:
    body = b'{"x": {"products": []}, "products": [{"id": 1}], "data": {"products": [{"id": 2}]}}'
    assert decode(body, Layout(items=items)) == [{"id": 1}]


def test_a_guess_does_not_reach_into_records() -> None:
    body = b'{"goods": [{"id": 1, "images": [{"src": "a"}]}]}'
    with pytest.raises(FormatError) as caught:
        decode(body, Layout(items=("products", "*.*")))
    assert caught.value.code == "no_items_found"


def test_nested_objects_that_look_like_records_do_not_mislead_the_windows() -> None:
    variants = [{"id": n, "title": "v"} for n in range(9)]
    products = [{"id": n, "title": "p", "variants": variants} for n in range(300)]
    for separators in ((",", ":"), (", ", ": ")):
        body = json.dumps(products, separators=separators).encode()
        for window in (0, 700, 5000):
            batches = json_document.slices(io.BytesIO(body), ROOT, None, window_bytes=window)
            raws = [bytes(raw) for batch in batches for raw in batch.raws]
            assert [json.loads(raw) for raw in raws] == products


def product(n: int, **more: object) -> dict[str, object]:
    variants = [{"id": n * 9 + k, "title": f"v{k}", "option": "}, {", "n": k} for k in range(3)]
    return {"id": n, "title": f'a "t" {n}', "body": "x" * (n % 50), "variants": variants, **more}


def shuffled(value: dict[str, object], seed: int) -> dict[str, object]:
    return dict(sorted(value.items(), key=lambda pair: zlib.crc32(f"{pair[0]}{seed}".encode())))


PRODUCTS = [product(n) for n in range(2000)]
EDGES = [{"node": product(n, variants={"edges": [{"node": product(n)}]})} for n in range(1000)]
ALIKE = [{"id": n, "parts": [{"id": 1, "parts": []}, {"id": 2, "parts": []}]} for n in range(5000)]
MIXED = [shuffled(product(n), n) for n in range(2000)]


@dataclass
class Work:
    """What was done: looks at whole windows, their bytes, and elements that were read one by one."""

    tries: int = 0
    bytes: int = 0
    one_by_one: int = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    done = Work()
    decode_window, find_error = json_windows._decode, json_elements.syntax_error

    def counted(data: bytes) -> list[msgspec.Raw]:
        done.tries += 1
        done.bytes += len(data)
        return decode_window(data)

    def checked(raw: bytes) -> str | None:
        done.one_by_one += 1
        return find_error(raw)

    monkeypatch.setattr(json_windows, "_decode", counted)
    monkeypatch.setattr(json_elements, "syntax_error", checked)
    return done


@pytest.mark.parametrize(
    "records", [PRODUCTS, EDGES, ALIKE, MIXED], ids=["products", "edges", "alike", "mixed"]
)
@pytest.mark.parametrize(
    "style",
    [{}, {"separators": (",", ":")}, {"indent": 2}, {"indent": 0}, {"separators": (",\n", ":")}],
    ids=str,
)
def test_whatever_writes_elements_alike_is_cut_in_windows(
    records: list[dict[str, object]], style: dict[str, Any], work: Work
) -> None:
    body = json.dumps({"data": {"products": records, "n": 1}}, **style).encode()
    layout = Layout(items=("data.products",))
    window = 20_000
    batches = json_document.slices(
        io.BytesIO(body), layout, None, window_bytes=window, piece_bytes=16_000
    )
    raws = [bytes(raw) for batch in batches for raw in batch.raws]
    assert [json.loads(raw) for raw in raws] == records
    assert work.one_by_one < len(records) / 10
    assert work.bytes < 1.2 * len(body)


def hostile() -> list[bytes]:
    """Bodies that look as if they could be cut, and cannot."""
    tiny = b'{"products":[{"k%d":1},{"k%d":2},{"k%d":3}]}'
    deep = b'{"a":%b[{"a":1},{"a":2}]%b}' % (b'[{"a":' * 15, b"}]" * 15)
    strings = b'{"k%d":"},{","t":"},{","u":[{"v":"},{"},{"w":"},{"}]}'
    inner = b'{"id":1,"t":2}'
    return [
        b"[%b]" % b",".join(tiny % (n, n, n) for n in range(8000)),
        b"[%b]" % b",".join([b'{"products":[%b]}' % b",".join([inner] * 5)] * 4000),
        b'{"products":[%b]}' % b",".join([deep] * 3000),
        b'{"products":[%b]}' % b",".join(strings % n for n in range(9000)),
        b'{"products":[%b,{"id":1,"t":[%b]}]}'
        % (b"%b,%b" % (inner, inner), b",".join([inner] * 30_000)),
        b'{"products":[%b]}' % b",".join([inner, inner, b"[%b]" % b",".join([inner] * 3000)] * 8),
        b'{"products":[%b,{"id":1,"t":[%b'
        % (b",".join([inner] * 2000), b",".join([inner] * 20_000)),
    ]


@pytest.mark.parametrize("body", hostile(), ids=range(7))
def test_bodies_made_to_defeat_the_windows_cost_a_few_looks_at_each_byte(
    body: bytes, work: Work
) -> None:
    layout = Layout(items=("products",))
    window = 8000
    with suppress(FormatError):
        for _ in json_document.slices(
            io.BytesIO(body), layout, None, window_bytes=window, piece_bytes=window
        ):
            pass
    assert work.tries <= 4 * (len(body) / window + 1)
    assert work.bytes <= 4 * len(body)


def test_a_border_is_found_between_alike_elements() -> None:
    elements = [b'{"id": %d, "in": [{"id": 0}, {"id": 1}], "t": "}, {"}' % n for n in range(5)]
    border = Border.between(elements[0], b" " + elements[1])
    assert border is not None
    data = b", ".join(elements)
    found = border.cut(data, 0, len(data))
    assert found is not None
    raws, start = found
    assert [bytes(raw) for raw in raws] == elements[:4]
    assert data[start:] == b" " + elements[4]


@pytest.mark.parametrize("second", [b"5", b"[1]", b'"x"', b" null", b"{}"])
def test_there_is_no_border_to_learn_where_elements_are_no_objects(second: bytes) -> None:
    assert Border.between(b'{"a": 1}', second) is None
    assert Border.between(second[:1] + b"1", b'{"a": 1}') is None


def test_an_object_with_none_of_the_arrays_is_one_record_where_the_layout_says_so() -> None:
    layout = Layout(items=("", "products", "."))
    assert decode(b' {"id": 1, "images": [{"src": "a"}]} ', layout) == [
        {"id": 1, "images": [{"src": "a"}]}
    ]
    assert decode(b'{"id": 1, "products": [{"id": 2}]}', layout) == [{"id": 2}]
    for body in (b'"text"', b"[5]"):
        assert not any(isinstance(record, dict) for record in records_or_error(body, layout))
    with pytest.raises(FormatError) as caught:
        decode(b'{"id": "' + b"x" * 2000 + b'"}', Layout(items=(".",), max_record_bytes=1000))
    assert caught.value.code == "record_too_large"


def records_or_error(body: bytes, layout: Layout) -> list[object]:
    try:
        return decode(body, layout)
    except FormatError as error:
        return [error.code]


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b'{"id": "a", "title": "Mu', {"id": "a"}),
        (b'{"id": "a", "tags": ["x", "y"], "title" "Mug"}', {"id": "a", "tags": ["x", "y"]}),
        (b'{"of": {"id": "b", "n": [1, 2]}, "id": "a", "x": {"y": 1', {"of": {"id": "b", "n": ["1", "2"]}, "id": "a"}),
        (b'{"a": "}, {", "id": "a\\"b", oops}', {"a": "}, {", "id": 'a"b'}),
        (b'{"id": "a\xff", "title": "Mug"}', {"id": "a\ufffd", "title": "Mug"}),
        (b'{"id": "a', None),
        (b'{"id": "a" "title": "Mug"}', None),
        (b'[1, 2', None),
        (b'"id", "a', None),
    ],
)  # fmt: skip
def test_a_broken_record_is_read_up_to_where_it_breaks_off(raw: bytes, read: Any) -> None:
    assert json_records.salvage(raw, b"", Layout()) == read
