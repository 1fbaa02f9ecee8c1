"""Who somebody is: what is taken as an identifier, and how it is normalized."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from feedd.people import identifiers
from feedd.people.identifiers import (
    external_id,
    is_somebody,
    normalize_email,
    normalize_phone,
    who_and_what,
)
from feedd.people.limits import PayloadProblem
from feedd.people.values import NOTHING, Identifiers, Kind, Patch

LABELS = st.text("abz09-", min_size=1, max_size=6)
NEARLY_ADDRESSES = st.builds(
    "{}@{}".format,
    st.text("aZ0+_.-'", min_size=1, max_size=8),
    st.one_of(
        st.lists(LABELS, min_size=1, max_size=3).map(".".join),
        st.sampled_from(
            ("x.test", "x.local", "home.arpa", "xn--bcher-kva.example", "bücher.example")
        ),
    ),
)


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("jane.doe@example.com", "jane.doe@example.com"),
        ("  Jane.Doe@EXAMPLE.com\n", "jane.doe@example.com"),
        ("jane+shop@mail.example.co.uk", "jane+shop@mail.example.co.uk"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("jane@shop.test", "jane@shop.test"),
        ("jane@BÜCHER.example", "jane@bücher.example"),
        ("jane@xn--bcher-kva.example", "jane@bücher.example"),
        ("Δοκιμή@παράδειγμα.example", "δοκιμή@παράδειγμα.example"),
    ],
)
def test_an_email_address_is_lower_cased(given_, normal) -> None:
    assert normalize_email(given_) == normal


@pytest.mark.parametrize(
    "bad",
    [
        "jane", "jane@", "@example.com", "jane@localhost", "jane@test", "jane@example.com.", "a b@example.com",
        "jane@-example.com", "jane@ab--c.example", "Jane <jane@example.com>", "jane@[127.0.0.1]", "jane@1.2.3.4",
        "jane@example.com\r\nBcc: x@example.com", "jane@example.com\x00", "a..b@example.com", '"a b"@example.com',
        f"{'a' * 250}@example.com", "\ud800@example.com", 5, ["jane@example.com"], True,
    ],
)  # fmt: skip
def test_what_is_no_email_address_is_refused(bad) -> None:
    with pytest.raises(PayloadProblem) as caught:
        normalize_email(bad, "/properties/$email")
    assert caught.value.code == "invalid_email"
    assert caught.value.source == {"pointer": "/properties/$email"}
    assert "jane.doe@example.com" in caught.value.hint


@given(
    st.from_regex(identifiers._PLAIN_EMAIL, fullmatch=True).filter(lambda each: len(each) <= 254)
)
def test_the_quick_way_gives_what_the_library_gives(address: str) -> None:
    judged = validate_email(address, check_deliverability=False, test_environment=True)
    assert normalize_email(address.upper()) == judged.normalized == address


@given(NEARLY_ADDRESSES)
def test_normalizing_an_email_address_twice_is_normalizing_it_once(address: str) -> None:
    try:
        once = normalize_email(address)
    except PayloadProblem:
        with pytest.raises(EmailNotValidError):
            validate_email(
                address.strip().lower(), check_deliverability=False, test_environment=True
            )
    else:
        assert normalize_email(once) == once


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("+14155550123", "+14155550123"),
        (" +1 (415) 555-0123 ", "+14155550123"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("＋44 20 7946 0958", "+442079460958"),
        ("+390236618300", "+390236618300"),
    ],
)
def test_a_phone_number_becomes_e164(given_, normal) -> None:
    assert normalize_phone(given_) == normal
    assert normalize_phone(normal) == normal


@pytest.mark.parametrize(
    "bad",
    [
        "415 555 0123", "0044 20 7946 0958", "+1", "+1 555 0123", "+999123456789", "+1415555012345678",
        "+14155550123 ext 5", "call +14155550123", "+1415\x005550123", "x" * 1000, "+" + "1" * 1000, 14155550123, None,
    ],
)  # fmt: skip
def test_what_is_no_international_phone_number_is_refused(bad) -> None:
    with pytest.raises(PayloadProblem) as caught:
        normalize_phone(bad)
    assert caught.value.code == "invalid_phone_number"
    assert "+14155550123" in caught.value.hint


@pytest.mark.parametrize(
    ("given_", "normal"),
    [("42", "42"), (42, "42"), (42.0, "42"), (-1, "-1"), (2**70, str(2**70)), (" a b ", "a b"), ("é" * 255, "é" * 255)],
)  # fmt: skip
def test_a_customer_id_is_text(given_, normal) -> None:
    assert external_id(given_) == normal


@pytest.mark.parametrize(
    "bad", ["", " ", "a\x00b", "a\nb", "a\x7f", "\udc00", "x" * 256, True, 1.5, 1e300, None, [], {}]
)
def test_what_is_no_customer_id_is_refused(bad) -> None:
    with pytest.raises(PayloadProblem) as caught:
        external_id(bad)
    assert caught.value.code == "invalid_id"


def test_identifiers_are_found_under_both_spellings() -> None:
    with_sign = {
        "$email": "Jane@example.com", "$phone_number": "+1 415 555 0123", "$id": 7, "$anonymous": "device-1",
    }  # fmt: skip
    without = {
        "email": "Jane@example.com", "phone_number": "+1 415 555 0123", "id": 7, "anonymous_id": "device-1",
    }  # fmt: skip
    who = Identifiers(
        email="jane@example.com",
        phone_number="+14155550123",
        external_id="7",
        anonymous_ids=("device-1",),
    )
    assert who_and_what(with_sign) == (who, NOTHING)
    assert who_and_what(without) == (who, NOTHING)
    assert who_and_what({"external_id": "7"})[0] == Identifiers(external_id="7")


def test_every_anonymous_id_counts_once() -> None:
    given_ = {"$anonymous": "a", "anonymous_id": "a", "$exchange_id": "b.C", "_kx": "d"}
    who, _ = who_and_what(given_)
    assert who.anonymous_ids == ("a", "b.C", "d")


def test_the_spelling_with_the_sign_wins_and_nothing_is_lost() -> None:
    who, patch = who_and_what(
        {"$id": 7, "id": "other", "$email": "a@example.com", "email": "A@Example.com", "$city": "Rome", "city": "Oslo"}
    )  # fmt: skip
    assert who == Identifiers(email="a@example.com", external_id="7")
    assert patch.set == {"id": "other", "$city": "Rome", "city": "Oslo"}


def test_special_fields_go_by_their_names_with_the_sign() -> None:
    given_ = {
        "first_name": "Jane",
        "$last_name": "Doe",
        "zip": "0150",
        "consent": ["email"],
        "source": "popup",
        "Plan": 1,
    }
    assert who_and_what(given_)[1].set == {
        "$first_name": "Jane", "$last_name": "Doe", "$zip": "0150", "consent": ["email"], "source": "popup", "Plan": 1,
    }  # fmt: skip
    assert given_["first_name"] == "Jane"  # what was given is left alone


def test_an_identifier_that_says_nothing_is_none() -> None:
    who, patch = who_and_what({"$email": None, "email": " ", "$id": "", "$anonymous": None})
    assert not is_somebody(who)
    assert patch == NOTHING
    assert who_and_what({"$email": "", "email": "a@example.com"})[0].email == "a@example.com"


def test_null_of_a_property_is_kept_for_it_clears_and_of_a_special_one_says_nothing() -> None:
    sent = {"$id": 1, "Plan": None, "$consent": None, "first_name": None, "$city": None, "zip": "1"}
    assert who_and_what(sent)[1].set == {"Plan": None, "$consent": None, "$zip": "1"}
    assert who_and_what({"$id": 1, "$city": None})[1].is_empty()
    assert who_and_what({"$id": 1, "$unset": ["$city"]})[1].unset == ("$city",)


def test_the_operators_of_the_clients_become_a_patch() -> None:
    given_ = {
        "$email": "a@example.com", "a": 1, "$append": {"Tags": "x"}, "$unappend": {"Tags": "y"},
        "$unset": ["first_name", "Old", "$phone_number", "id"],
    }  # fmt: skip
    expected = Patch(
        set={"a": 1}, append={"Tags": "x"}, unappend={"Tags": "y"}, unset=("$first_name", "Old")
    )
    assert who_and_what(given_)[1] == expected
    assert who_and_what(given_, trusted=True)[1].clear == (Kind.PHONE, Kind.EXTERNAL)
    assert who_and_what({"$id": 1, "$unset": "Old"})[1].unset == ("Old",)
    assert who_and_what({"$id": 1, "$unset": {"Old": 1}})[1].unset == ("Old",)
    assert who_and_what({"$id": 1, "$unset": [], "$append": []})[1] == NOTHING


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"$append": "x"}, "/p/$append"),
        ({"$append": {"email": "x"}}, "/p/$append/email"),
        ({"$unset": 5}, "/p/$unset"),
        ({"$unset": [5]}, "/p/$unset"),
        ({"$phone_number": "5"}, "/p/$phone_number"),
        ({"anonymous_id": []}, "/p/anonymous_id"),
    ],
)
def test_a_problem_says_where_it_is(wrong, where) -> None:
    with pytest.raises(PayloadProblem) as caught:
        who_and_what(wrong, "/p")
    assert caught.value.pointer == where
