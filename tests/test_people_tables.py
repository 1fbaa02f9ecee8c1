"""Files of people: what a heading and a cell mean, and that what is exported is imported without loss."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feedd.errors import UsageError
from feedd.people.cells import cell_of, guarded, unguarded, value_of
from feedd.people.columns import SPECIAL, Column, column_of, heading_of, property_heading
from feedd.people.csv_records import MOST_CHARACTERS, Broken, Record, read_records
from feedd.people.exports import Names, line_of
from feedd.people.rows import BadRow, ProfileTable, event_line, profile_line
from feedd.people.values import Action, Identifiers, Kind, Patch, Profile, Source

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
LIKE_FORMULAS = st.from_regex(r"\A['=+\-@\t\r\n\0＝]{1,3}[a-z0-9.]{0,3}\Z")
LIKE_VALUES = st.from_regex(r'\A-?["\[{tTfF0-9.eE+]{1,5}[rRuUeE"\]}]{0,4}\Z')
SINGLE = (
    TEXT
    | LIKE_FORMULAS
    | LIKE_VALUES
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
VALUES = SINGLE | st.lists(SINGLE, max_size=3) | st.dictionaries(TEXT, SINGLE, max_size=3)
NAMES = (
    TEXT
    | LIKE_FORMULAS
    | st.sampled_from([*SPECIAL, "Email", "id", "Profile ID", "First Name", "$profile", "a.b"])
).filter(lambda name: name not in ("$email", "$phone_number", "$id", "$anonymous"))
PROFILES = st.builds(
    Profile,
    id=st.just("01JQZX3M8N4T5V6W7X8Y9ZABCD"),
    number=st.just(1),
    email=st.sampled_from(["jane.doe@example.com", "+jane@example.com"]),
    phone_number=st.none() | st.just("+14155550123"),
    external_id=st.none() | st.sampled_from(["=1", "'-7", "007", "[1]"]),
    anonymous_ids=st.lists(st.sampled_from(["1", "a,b", '"c"']), unique=True).map(tuple),
    properties=st.dictionaries(NAMES, VALUES, max_size=5),
    created_at=st.just(NOW),
    updated_at=st.just(NOW),
)


def person(properties: dict[str, Any]) -> Profile:
    return Profile(
        id="01JQZX3M8N4T5V6W7X8Y9ZABCD",
        number=1,
        email="jane.doe@example.com",
        properties=properties,
        created_at=NOW,
        updated_at=NOW,
    )


def records(text: str, delimiter: str | None = None) -> list[Record | Broken]:
    return list(read_records(readline(text), delimiter))


def readline(text: str) -> Callable[[int], str]:
    return io.StringIO(text, newline="").readline


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    return bool(
        msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    )


@given(VALUES)
@example("'=x")
@example("-0")
@example(-0.0)
@example("TRUE")
@example('"')
@example(5e-324)
def test_a_value_is_read_from_its_cell_as_it_was(value: Any) -> None:
    assert same(value_of(cell_of(value)), value) or value == ""
    assert cell_of("") == '""'


@given(TEXT | LIKE_FORMULAS)
def test_no_text_begins_like_a_formula_and_each_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    for cell in (guarded(text), cell_of(text)):
        assert cell[:1] not in tuple("=+-@\t\r\n\0＝＋－＠")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12),
        ("-1.50", -1.5),
        ("007", "007"),
        ("1e5", "1e5"),
        ("1,5", "1,5"),
        ("TRUE", True),
        ("no", "no"),
        ('["a", 1]', ["a", 1]),
        ("[draft", "[draft"),
        ('"12"', "12"),
        ("'+49", "+49"),
        ("'s", "'s"),
        ("2026-03-01", "2026-03-01"),
        ("1" * 4001, "1" * 4001),
        ("1" * 400 + ".5", "1" * 400 + ".5"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_cell_is_what_it_looks_like(cell: str, value: Any) -> None:
    assert same(value_of(cell), value)


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("Email Address", Column("$email", Kind.EMAIL)),
        ("email", Column("$email", Kind.EMAIL)),
        ("$email", Column("$email", Kind.EMAIL)),
        ("PHONE_NUMBER", Column("$phone_number", Kind.PHONE)),
        ("External ID", Column("$id", Kind.EXTERNAL)),
        ("first name", Column("$first_name")),
        ("State/Region", Column("$region")),
        ("ID", Column("ID")),
        (" Colour ", Column("Colour")),
        ("properties.Email", Column("Email")),
        ("properties. x ", Column(" x ")),
        ("properties.$email", Column("$email", Kind.EMAIL)),
        ("Email Marketing Consent", Column("Email Marketing Consent")),
    ],
)
def test_headings_are_understood_as_people_write_them(heading: str, column: Column) -> None:
    assert column_of(heading) == column


@given(NAMES)
def test_a_property_has_a_heading_that_means_it(name: str) -> None:
    assert column_of(property_heading(name)) == Column(name)
    assert column_of(heading_of(Column(name))) == Column(name)


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=5))
def test_rows_are_read_as_they_were_written(rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    assert [r.cells for r in records(out.getvalue(), ",") if isinstance(r, Record)] == rows


@given(st.text(st.sampled_from('a,"\n\r;'), max_size=30))
def test_any_text_gives_records_and_broken_ones_in_the_order_of_lines(text: str) -> None:
    lines = [each.line for each in records(text)]
    assert lines == sorted(set(lines))


def test_a_quote_that_is_never_closed_costs_its_row_only() -> None:
    text = 'Email,Name\na@example.com,"Mug\nb@example.com,Bowl\n\nc@example.com,"Tea\npot"\n'
    _, broken, *rest = records(text)
    assert isinstance(broken, Broken)
    assert (broken.line, broken.text) == (2, 'a@example.com,"Mug')
    assert "quote" in broken.problem
    assert rest == [
        Record(3, ["b@example.com", "Bowl"]),
        Record(5, ["c@example.com", "Tea\npot"]),
    ]
    _, broken, *rest = records('Email\n"' + "x@example.com\n" * 20_000)
    assert isinstance(broken, Broken)
    assert (broken.line, len(rest), rest[-1].line) == (2, 19_999, 20_001)


def test_a_row_that_is_too_long_costs_its_row_only() -> None:
    text = "Email\n" + "x" * (3 * MOST_CHARACTERS) + "\na@example.com\n"
    _, broken, last = records(text)
    assert isinstance(broken, Broken)
    assert "longer than 1,000,000" in broken.problem
    assert last == Record(3, ["a@example.com"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_that_of_the_first_row(delimiter: str) -> None:
    text = f"Email{delimiter}Name\na@example.com{delimiter}Ann\n"
    assert records(text)[1] == Record(2, ["a@example.com", "Ann"])


def test_a_table_that_names_nobody_or_one_column_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="no column says who"):
        ProfileTable(["Name", "Colour"])
    with pytest.raises(UsageError, match="'Email' and 'email address'"):
        ProfileTable(["Email", "email address"])
    with pytest.raises(UsageError, match="2,000 are the most"):
        ProfileTable(["Email", *map(str, range(2_000))])


def test_a_row_is_an_action_of_what_its_cells_say() -> None:
    table = ProfileTable(["Email", "Phone Number", "First Name", "Zip Code", "Points", "Tags", ""])
    row = Record(2, ["Jane.Doe@Example.com", " +1 415 555 0123 ", "'=Jane", "01234", "12", '["a"]'])
    assert table.action(row) == Action(
        who=Identifiers(email="jane.doe@example.com", phone_number="+14155550123"),
        patch=Patch(set={"$first_name": "=Jane", "$zip": "01234", "Points": 12, "Tags": ["a"]}),
        trusted=True,
        source=Source.IMPORT,
    )


@pytest.mark.parametrize(
    ("cells", "column", "says"),
    [
        (["jane", ""], "Email", "jane.doe@example.com"),
        (["", ""], "Email, Phone", "identifies nobody"),
        (["", "0415 555"], "Phone", "+14155550123"),
        (["a@example.com", "", "", "x"], "", "has 4 cells and the first row names 3"),
        (["a@example.com", "", "\udcff"], "", "UTF-8"),
        (["a@example.com", "", "x" * 110_000], "", "KB"),
    ],
)
def test_a_row_that_cannot_be_used_says_where_and_why(
    cells: list[str], column: str, says: str
) -> None:
    bad = ProfileTable(["Email", "Phone", "Notes"]).action(Record(7, cells))
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (7, column)
    assert says in bad.problem


@given(st.lists(PROFILES, min_size=1, max_size=3))
@example([person({"$first_name": ""}), person({"$first_name": "0"}), person({"$first_name": 0})])
def test_an_export_is_imported_without_loss(profiles: list[Profile]) -> None:
    names = Names()
    names.add(profiles)
    table = names.table()
    out = io.StringIO(newline="")
    csv.writer(out).writerows([table.headings(), *map(table.row, profiles)])
    head, *rows = records(out.getvalue())
    assert isinstance(head, Record)
    read = ProfileTable(head.cells)
    for profile, row in zip(profiles, rows, strict=True):
        assert isinstance(row, Record)
        _is_the_same(read.action(row), profile)
        _is_the_same(profile_line(1, msgspec.json.encode(line_of(profile))), profile)


def _is_the_same(action: Action | BadRow, profile: Profile) -> None:
    assert isinstance(action, Action), action
    assert same(action.patch.set, profile.properties)
    assert action.who == Identifiers(
        profile=profile.id,
        email=profile.email,
        phone_number=profile.phone_number,
        external_id=profile.external_id,
        anonymous_ids=profile.anonymous_ids,
    )


def test_a_line_of_json_may_be_flat_and_null_clears() -> None:
    action = profile_line(
        1, b'{"Email": "a@example.com", "First Name": "Ann", "points": 1.50, "old": null}'
    )
    assert isinstance(action, Action)
    assert action.patch.set == {"$first_name": "Ann", "points": 1.5, "old": None}


def test_what_names_somebody_is_no_property() -> None:
    action = profile_line(1, b'{"properties": {"$email": "a@example.com", "$id": 7, "x": 1}}')
    assert isinstance(action, Action)
    assert action.who == Identifiers(email="a@example.com", external_id="7")
    assert action.patch.set == {"x": 1}


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        (b"[]", "", "no JSON object"),
        (b"{", "", "no JSON object"),
        (b'{"email": 5}', "email", "jane.doe@example.com"),
        (b'{"id": "C-1001", "email": "a@example.com"}', "id", "external id"),
        (b'{"properties": {}}', "", "identifies nobody"),
        (b'{"email": "a@example.com", "properties": [1]}', "properties", "is not an object"),
    ],
)
def test_a_line_that_cannot_be_used_says_where_and_why(text: bytes, column: str, says: str) -> None:
    bad = profile_line(3, text)
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (3, column)
    assert says in bad.problem


def test_events_are_read_in_the_form_of_a_track_call_and_flat() -> None:
    legacy = event_line(
        1,
        b'{"token": "x", "event": "Placed Order", "time": 1767225600, "customer_properties":'
        b' {"$email": "a@example.com", "$city": "Oslo"}, "properties": {"$value": 9.5, "$event_id": "1"}}',
        NOW.timestamp(),
    )
    flat = event_line(
        2,
        b'{"event": "Placed Order", "email": "a@example.com", "time": "2026-01-01T00:00:00Z",'
        b' "properties": {"$value": 9.5, "$event_id": "1"}, "profile": {"$city": "Oslo"}}',
        NOW.timestamp(),
    )
    assert isinstance(legacy, Action)
    assert legacy == flat
    assert legacy.event is not None
    assert (legacy.event.at, legacy.event.value, legacy.trusted) == (1767225600, 9.5, True)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        (b'{"event": "A"}', "", "identifies nobody"),
        (b'{"email": "a@example.com"}', "event", "Placed Order"),
        (b'{"event": "A", "email": "a"}', "email", "jane.doe@example.com"),
        (b'{"event": "A", "email": "a@example.com", "time": 5}', "time", "1990"),
        (b'{"event": "A", "email": "a@example.com", "value": "x"}', "properties.$value", "29.90"),
        (b'{"event": "A", "email": 5}', "", "JSON"),
        (b"nonsense", "", "JSON"),
    ],
)
def test_an_event_that_cannot_be_used_says_where_and_why(
    text: bytes, column: str, says: str
) -> None:
    bad = event_line(4, text, NOW.timestamp())
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (4, column)
    assert says in bad.problem


def test_the_examples_of_the_documentation_are_taken_in() -> None:
    text = (Path(__file__).parent.parent / "docs" / "people.md").read_text()
    blocks = [dedent(each) for each in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)]
    (table,) = (each for each in blocks if each.startswith("Email,"))
    head, row = records(table)
    assert isinstance(head, Record)
    assert isinstance(row, Record)
    assert ProfileTable(head.cells).action(row) == Action(
        who=Identifiers(email="jane.doe@example.com", phone_number="+14155550123"),
        patch=Patch(set={"$first_name": "Jane", "Points": 12, "Tags": ["mugs", "tea"]}),
        trusted=True,
        source=Source.IMPORT,
    )
    person, tracked, flat = (
        " ".join(each.split()).encode() for each in blocks if each.startswith("{")
    )
    known = profile_line(1, person)
    assert isinstance(known, Action)
    assert (known.who.external_id, known.patch.set["points"]) == ("C-1001", 12)
    for line in (tracked, flat):
        action = event_line(1, line, NOW.timestamp())
        assert isinstance(action, Action), action
        assert action.event is not None
        assert (action.event.at, action.event.value, action.event.unique_id) == (
            1767225600,
            29.9,
            "7",
        )
