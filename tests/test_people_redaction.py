"""What names a person goes from events, however many identifiers there are."""

import json

from hypothesis import given
from hypothesis import strategies as st

from feedd.people.redaction import personal_values, redacted

TEXTS = st.text("ab@. ", max_size=24)
DEVICES = [f"device-{number:04}" for number in range(100)]


@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8))
def test_many_devices_make_no_difference(known: list[str], said: list[str]) -> None:
    properties = json.dumps({"said": said})
    few = json.loads(redacted(properties, personal_values(known, {})))
    many = json.loads(redacted(properties, personal_values([*known, *DEVICES], {})))
    assert many == few


def test_each_of_many_devices_goes() -> None:
    values = personal_values(["jane.doe@example.com", *DEVICES], {"$first_name": "Jane"})
    said = ["on DEVICE-0042 too", "device-9999", "Jane", "Janet", "to Jane.Doe@example.com"]
    assert json.loads(redacted(json.dumps(said), values)) == [
        "redacted",
        "device-9999",
        "redacted",
        "Janet",
        "redacted",
    ]
