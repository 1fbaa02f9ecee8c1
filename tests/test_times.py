"""When something happened: the forms that are read, and the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.people.limits import PayloadProblem
from feedd.people.times import AHEAD_S, FIRST_S, event_time

NOW = 1_795_762_000
AT = 1_412_084_048  # 2014-09-30T13:34:08Z


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_nothing_is_now(nothing) -> None:
    assert event_time(nothing, NOW + 0.9) == NOW


@pytest.mark.parametrize(
    "spelled",
    [
        AT, AT + 0.9, str(AT), f" {AT}.75 ", "2014-09-30 13:34:08", "2014-09-30 13:34:08.123", "2014-09-30 15:34:08+02:00",
        "2014-09-30T13:34:08Z", "2014-09-30T13:34:08.123456+0000", "2014-09-30T11:34:08-02:00", "30 Sep 2014 13:34:08",
        "Tue, 30 Sep 2014 13:34:08 GMT", "Tue Sep 30 2014 15:34:08 GMT+0200 (Central European Summer Time)",
        "Tue Sep 30 2014 13:34:08 GMT+0000 (UTC)", "September 30, 2014 13:34:08", "09/30/2014 13:34:08",
    ],
)  # fmt: skip
def test_every_usual_spelling_is_read(spelled) -> None:
    assert event_time(spelled, NOW) == AT


@pytest.mark.parametrize("spelled", ["2014-09-30", "09/30/2014", "09/30/14 00:00", "20140930"])
def test_a_date_is_its_midnight(spelled) -> None:
    assert event_time(spelled, NOW) == 1_412_035_200


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (FIRST_S - 1, "before 1990"),
        (0, "before 1990"),
        ("1989-12-31", "before 1990"),
        (NOW + AHEAD_S + 1, "more than a year ahead"),
        ("2199-01-01", "more than a year ahead"),
        (AT * 1000, "milliseconds"),
        (str(AT * 1000), "milliseconds"),
        (10**400, "milliseconds"),
        (float("inf"), "milliseconds"),
        (float("nan"), "cannot be read"),
        ("yesterday", "cannot be read"),
        ("9" * 400, "cannot be read"),
        (True, "not a time"),
        ([], "not a time"),
    ],
)
def test_what_cannot_be_says_so(value, says) -> None:
    with pytest.raises(PayloadProblem, match=says) as caught:
        event_time(value, NOW, "/data/time")
    assert (caught.value.code, caught.value.pointer) == ("invalid_time", "/data/time")


@given(st.integers(FIRST_S, NOW + AHEAD_S), st.floats(0, 0.99))
def test_fractions_are_cut_off(second: int, fraction: float) -> None:
    assert event_time(second, NOW) == second
    if second < NOW:
        assert event_time(second + fraction, NOW) == second
