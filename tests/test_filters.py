"""The filter language: what is read, what is refused and how that is said."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.api.filters import (
    MAX_DEPTH,
    Condition,
    FilterError,
    choices,
    flags,
    numbers,
    parse_filter,
    relations,
    texts,
    times,
    wholes,
)

SUPPORTED = {
    "id": texts("equals", "any"),
    "metric_id": texts("equals", many=("equals",)),
    "status": choices(("queued", "complete"), "equals", "any"),
    "seq": wholes("greater-than"),
    "price": numbers("less-than"),
    "closed": flags("equals"),
    "datetime": times("greater-or-equal", "less-than"),
    "properties['Plan Name']": texts("equals"),
    **dict.fromkeys(("Übergröße", "2nd Size"), texts("equals")),
    "profile": relations(),
}
AT = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        ('equals(id,"a")', [("equals", "id", "a")]),
        ("equals(id,'it\\'s')", [("equals", "id", "it's")]),
        ("equals(id,007)", [("equals", "id", "007")]),
        ('equals(id,"a,b)")', [("equals", "id", "a,b)")]),
        ("any(id,[\"a\", b ,'c'])", [("any", "id", ["a", "b", "c"])]),
        ('any(id,"a")', [("any", "id", ["a"])]),
        ('equals(metric_id,["a","b"])', [("equals", "metric_id", ["a", "b"])]),
        ("any(status,[queued])", [("any", "status", ["queued"])]),
        ("greater-than(seq,12)", [("greater-than", "seq", 12)]),
        ("less-than(price,-1.5e2)", [("less-than", "price", -150.0)]),
        ("equals(closed,True)", [("equals", "closed", True)]),
        ("less-than(datetime,2026-03-01T01:00:00Z)", [("less-than", "datetime", AT)]),
        ('less-than(datetime,"2026-03-01 01:00:00")', [("less-than", "datetime", AT)]),
        ("less-than(datetime,2026-03-01T03:00:00+02:00)", [("less-than", "datetime", AT)]),
        ("less-than(datetime,2026-03-01T03:00:00 02:00)", [("less-than", "datetime", AT)]),
        ("has(profile)", [("has", "profile", None)]),
        ("equals(Übergröße,1)", [("equals", "Übergröße", "1")]),
        ("equals(2nd Size ,'M')", [("equals", "2nd Size", "M")]),
        ("equals(properties['Plan Name'],'x')", [("equals", "properties['Plan Name']", "x")]),
        (
            ' equals( id , "a" ) , and( greater-than(seq,1), has(profile) )',
            [("equals", "id", "a"), ("greater-than", "seq", 1), ("has", "profile", None)],
        ),
    ],
)
def test_a_filter_is_read(text: str, conditions: list[tuple[str, str, Any]]) -> None:
    assert parse_filter(text, SUPPORTED) == [Condition(*each) for each in conditions]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("equals", "expected '(' at character 7"),
        ("equals(id)", "expected ','"),
        ("or(equals(id,1),equals(id,2))", "or(…) is not supported"),
        ("not(equals(id,1))", "any(field,[…]) takes one of several values"),
        ("equals(id,)", "expected a value"),
        ("equals(id,'a)", "expected a value"),
        ('equals(id,"a"),', "expected an operator"),
        ('equals(id,"a")x', "expected ',' or the end"),
        ("has(profile,1)", "expected ')'"),
        ("equals(id,\0)", "NUL"),
        ("and(" * (MAX_DEPTH + 1) + "equals(id,1)" + ")" * (MAX_DEPTH + 1), "nested too deep"),
        ("equals(id," + "a" * 10_001 + ")", "longer than"),
        ('contains(id,"a")', "Supported: equals(id,…), any(id,…)"),
        ('equals(none,"a")', "has(profile)"),
        ('equals(id,["a"])', "takes one value"),
        ("equals(status,done)", "one of queued, complete, not 'done'"),
        ("greater-than(seq,1.5)", "a whole number"),
        ("greater-than(seq,1e3)", "a whole number"),
        (f"greater-than(seq,{2**62})", "a whole number"),
        ("less-than(price,x)", "a number"),
        ("less-than(price,1e999)", "a number"),
        ("equals(closed,1)", "true or false"),
        ("less-than(datetime,yesterday)", "2026-01-31T00:00:00Z"),
        ("less-than(datetime,0001-01-01T00:00:00+14:00)", "a date and time"),
    ],
)
def test_a_filter_that_cannot_be_used_says_why(text: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text, SUPPORTED)
    assert said in str(caught.value)
    assert caught.value.source == {"parameter": "filter"}


@given(st.text(max_size=60) | st.text(alphabet="equalsanyhid(),[]\"'\\01. T:+-", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_filter(text, SUPPORTED)
    except FilterError:
        return
    assert all(each.operator in SUPPORTED[each.field].operators for each in found)


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_quoted_text_comes_back(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_filter(f'equals(id,"{quoted}")', SUPPORTED) == [Condition("equals", "id", text)]
