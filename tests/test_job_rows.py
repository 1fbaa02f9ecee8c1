"""What a job is sent, taken apart: nothing is lost, nothing is out of order, and no part is large."""

import msgspec
import pytest
from bulk import deletion_job, entry, event, event_job, import_job, profile, text
from hypothesis import given
from hypothesis import strategies as st

from feedd.errors import UsageError
from feedd.people.job_rows import entries_of, rows_of, split
from feedd.people.jobs import (
    MOST_BYTES_OF_PART,
    MOST_ROWS_OF_PART,
    Entry,
    JobKind,
    parts_of,
)
from feedd.people.limits import PayloadProblem
from feedd.people.values import Action, Identifiers

JANE = "jane.doe@example.com"
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from([b"{}", b'{"a": ",]"}', b'{"a":"' + b"x" * 50_000 + b'"}']),
        st.sampled_from([1, 1, 1, 60, 500]),
    ),
    max_size=250,
)


@given(ENTRIES)
def test_parts_add_up_to_what_was_sent(entries: list[Entry]) -> None:
    parts = parts_of(entries)
    sent = [each.text for each in entries]
    found = [
        bytes(raw)
        for part in parts
        for raw in msgspec.json.decode(part.payload, type=list[msgspec.Raw])
    ]
    assert found == sent
    assert sum(part.rows for part in parts) == sum(each.rows for each in entries)
    assert [part.first for part in parts] == sorted({part.first for part in parts})
    for part in parts:
        alone = split(JobKind.PROFILES, part)
        assert [each.first for each in alone] == list(range(part.first, part.first + len(alone)))
        small = part.rows <= MOST_ROWS_OF_PART and len(part.payload) <= MOST_BYTES_OF_PART + 2_000
        assert small or len(alone) == 1


def test_split_parts_say_the_same_of_each_row() -> None:
    entries = [
        entry(profile(JANE), event("A"), event("B", time="soon")),
        entry(profile("nobody"), event("C")),
        entry(profile(JANE), *[event("D", unique_id=str(n)) for n in range(3)]),
    ]
    (part,) = parts_of(entries_of(JobKind.EVENTS, text(event_job(*entries))))
    assert part.rows == 6
    alone = split(JobKind.EVENTS, part)
    assert [each.rows for each in alone] == [2, 1, 3]
    together = list(rows_of(JobKind.EVENTS, part, 0.0))
    again = [row for each in alone for row in rows_of(JobKind.EVENTS, each, 0.0)]
    assert [(row.pointer, row.text) for row in together] == [
        (row.pointer, row.text) for row in again
    ]
    assert [isinstance(row.found, Action) for row in together] == [
        True,
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_row_is_done_whole_or_not_at_all() -> None:
    (part,) = parts_of(entries_of(JobKind.PROFILES, text(import_job(profile(JANE)))))
    (row,) = rows_of(JobKind.PROFILES, part, 0.0)
    assert isinstance(row.found, Action)
    assert row.found.strict
    assert row.found.trusted


def test_whom_a_deletion_names_is_kept_nowhere_but_in_its_part() -> None:
    (part,) = parts_of(
        entries_of(JobKind.DELETION, text(deletion_job(email="Jane.Doe@Example.com")))
    )
    (row,) = rows_of(JobKind.DELETION, part, 0.0)
    assert isinstance(row.found, Action)
    assert row.found.who.email == JANE
    assert row.text == b""


@pytest.mark.parametrize(
    ("flat", "who"),
    [
        ({"email": "Jane.Doe@Example.com"}, Identifiers(email=JANE)),
        ({"phone_number": "+14155550123"}, Identifiers(phone_number="+14155550123")),
        (
            {"profile_id": "01M8E8PHT8W8RPJEPVK99YJRJV"},
            Identifiers(profile="01M8E8PHT8W8RPJEPVK99YJRJV"),
        ),
    ],
)
def test_revisions_before_july_2023_name_who_is_deleted_without_a_profile(flat, who) -> None:
    asked = deletion_job()
    asked["data"]["attributes"] = flat
    (part,) = parts_of(entries_of(JobKind.DELETION, text(asked)))
    (row,) = rows_of(JobKind.DELETION, part, 0.0)
    assert isinstance(row.found, Action)
    assert row.found.who == who


def test_a_deletion_names_somebody_once() -> None:
    asked = deletion_job(email=JANE)
    asked["data"]["attributes"]["email"] = JANE
    with pytest.raises(PayloadProblem, match="names somebody twice"):
        entries_of(JobKind.DELETION, text(asked))


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b"null", b'{"data":{}}', b"[" * 5_000]))
def test_any_bytes_are_entries_or_an_error(body: bytes) -> None:
    for kind in JobKind:
        with pytest.raises((UsageError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)):
            entries_of(kind, body)
