"""Meta's own SDK makes of the same person what we make, wherever it follows Meta's documentation.

Where it does not, the table says what each makes of the input, and both halves are asserted: a new SDK that comes
round to the documentation, or a change of ours, fails here.
"""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

import capi_lab as cl
from tests.contracts.examples import IDS, PERSON, SETTINGS, example_rows, wire_of
from tests.contracts.test_wires import paths

SERVER = "facebook_business.adobjects.serverside"
REASON = "needs facebook_business"
normalize = pytest.importorskip(f"{SERVER}.normalize", reason=REASON)
user_data = pytest.importorskip(f"{SERVER}.user_data", reason=REASON)
custom_data = pytest.importorskip(f"{SERVER}.custom_data", reason=REASON)
content = pytest.importorskip(f"{SERVER}.content", reason=REASON)
event = pytest.importorskip(f"{SERVER}.event", reason=REASON)
action_source = pytest.importorskip(f"{SERVER}.action_source", reason=REASON)
gender = pytest.importorskip(f"{SERVER}.gender", reason=REASON)

pytestmark = pytest.mark.conformance

FIELDS = {key.source: key.field for key in cl.PLATFORMS["meta"].spec.match_keys}
DIGEST = "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def theirs(key: str, value: str) -> str:
    """The SDK's digest, or the name of the error it raises."""
    try:
        return normalize.Normalize.normalize_field(FIELDS[key], value)
    except (TypeError, ValueError) as error:
        return type(error).__name__


EQUAL = [
    ("email", "  Jane.Doe+News@Example.COM ", None),
    ("email", "José@exämple.com", None),
    ("email", DIGEST.upper(), None),
    ("phone", "+1 (650) 555-1212", None),
    ("phone", "00 44 20 7946 0958", None),
    ("first_name", " Valéry ", None),
    ("first_name", "정", None),
    ("last_name", "Smith", None),
    ("gender", "F", None),
    ("date_of_birth", "19970216", None),
    ("city", "New York", None),
    ("city", "São Paulo", None),
    ("region", "NY", "US"),
    ("region", "New South Wales", "AU"),
    ("postal_code", "94035-1234", "US"),
    ("postal_code", "M1 1AE", "GB"),
    ("country", "GB", None),
]


@pytest.mark.parametrize(("key", "value", "country"), EQUAL)
def test_digests_are_equal_where_the_sdk_follows_the_documentation(key: str, value: str, country: str | None) -> None:
    assert cl.identity.hash_value(value, key, "meta", country) == theirs(key, value)


# Key, input, country, what we hash (None: left out; as is where already hashed), what the SDK hashes or raises.
DIFFERENT = [
    ("first_name", "O'Brien", None, "obrien", "o'brien"),
    ("last_name", "van der Berg", None, "vanderberg", "van der berg"),
    ("city", "Coeur d'Alene", None, "coeurdalene", "coeurd'alene"),
    ("city", "New York 10", None, "newyork10", "newyork"),
    ("region", "California", "US", "ca", "california"),
    ("region", "Washington DC", "US", "dc", "washingtondc"),
    ("postal_code", "940351234", "US", "94035", "940351234"),
    ("country", "USA", None, "us", TypeError),
    ("country", "United States", None, "us", TypeError),
    ("country", "UK", None, "gb", TypeError),
    ("country", "Republic of Korea", None, "kr", TypeError),
    ("gender", "Female", None, "f", "female"),
    ("date_of_birth", "2/16/1997", None, "19970216", "2/16/1997"),
    ("date_of_birth", "1997-02-16", None, "19970216", "1997-02-16"),
    ("phone", "+1.650.555.1212", None, "16505551212", ValueError),
    ("phone", "(650)555-1212", None, None, "6505551212"),
    ("phone", "(650)555-1212", "US", "16505551212", "6505551212"),
    ("phone", "+44 (0)20 7946 0958", None, "442079460958", "4402079460958"),
    ("phone", "+44 20 7946 0958 x5", None, "442079460958", ValueError),
    ("email", "a b@c.d", None, None, "a b@c.d"),
]


@pytest.mark.parametrize(("key", "value", "country", "ours", "sdk"), DIFFERENT)
def test_known_differences(
    key: str, value: str, country: str | None, ours: str | None, sdk: str | type[Exception]
) -> None:
    """Ours is the documented form; the SDK's is what it makes of it."""
    assert cl.identity.hash_value(value, key, "meta", country) == (None if ours is None else sha256(ours))
    assert theirs(key, value) == (sha256(sdk) if isinstance(sdk, str) else sdk.__name__)


def test_known_differences_of_values_hashed_already() -> None:
    """Parameter Builder values are raw text to the SDK; an MD5 passes it unseen; external ids go unhashed."""
    for key, suffix, error in (("email", ".AQ", "TypeError"), ("phone", ".AQIAAQAB", "ValueError")):
        assert cl.identity.hash_value(DIGEST + suffix, key, "meta") == DIGEST + suffix
        assert theirs(key, DIGEST + suffix) == error
    md5 = "0123456789abcdef" * 2
    assert cl.identity.hash_value(md5, "email", "meta") is None
    assert theirs("email", md5) == md5
    sdk = user_data.UserData(external_id=" User 123 ").normalize()
    assert sdk == {"external_id": [" User 123 "]}
    assert cl.identity.hash_value(" User 123 ", "external_id", "meta") == sha256(" User 123 ")


def sdk_event(row: pd.Series) -> dict:
    """The same purchase through the SDK's classes, keys in the form its rules and ours agree on."""
    person = user_data.UserData(
        email=PERSON["email"],
        phone=PERSON["phone"],
        first_name="Jane",
        last_name="Obrien",
        gender=gender.Gender.FEMALE,
        date_of_birth="19970216",
        city=PERSON["city"],
        state=PERSON["region"],
        zip_code=PERSON["postal_code"],
        country_code=PERSON["country"],
        external_id=sha256(PERSON["external_id"]),
        client_ip_address=PERSON["client_ip"],
        client_user_agent=PERSON["user_agent"],
        fbc=IDS["fbc"],
        fbp=IDS["fbp"],
    )
    order = custom_data.CustomData(
        value=row["value"],
        currency=row["currency"],
        order_id=row["conversion_id"],
        content_type="product",
        contents=[content.Content(product_id="sku-1", quantity=2, item_price=24.95)],
    )
    return event.Event(
        event_name="Purchase",
        event_time=int(row["event_time"].timestamp()),
        event_id=row["event_id"],
        event_source_url=row["page_url"],
        referrer_url=row["referrer_url"],
        action_source=action_source.ActionSource.WEBSITE,
        user_data=person,
        custom_data=order,
    ).normalize()


def test_whole_events_are_the_sdks() -> None:
    """Field for field and value for value; the one difference left is the case of the currency."""
    rows = example_rows()
    (request,) = wire_of("meta", "capi").encode(rows, SETTINGS["meta", "capi"])
    for (_, row), ours in zip(rows.iterrows(), request.json["data"], strict=True):
        sdk = sdk_event(row)
        assert (ours["custom_data"].pop("currency"), sdk["custom_data"].pop("currency")) == ("EUR", "eur")
        assert ours == sdk


def test_every_field_we_can_write_is_one_of_the_sdks() -> None:
    """The spec's list of fields, not only those of one example."""
    rows = example_rows(1)
    known = {path for path, _ in paths({"data": [sdk_event(rows.iloc[0])]})}
    ours = {field.path for field in wire_of("meta", "capi").route.fields if field.path.startswith("data[]")}
    assert ours <= known
