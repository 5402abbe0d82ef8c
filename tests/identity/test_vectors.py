"""Every worked vector, one by one and as a column, rows that must be left out included."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.identity import KEY_RULES, NORMALISERS, OTHER_RULES
from capi_lab.identity.digests import Encoding
from capi_lab.identity.geography import country_code
from capi_lab.identity.hashing import hash_by_rule, hash_column_by_rule, normalise_by_rule
from capi_lab.tables import MATCH_KEY_COLUMNS
from tests.identity.vectors import VECTORS, Vector

HASHED = [v for v in VECTORS if v.key_rule.hashed]
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_normalised_form(vector: Vector):
    where = country_code(vector.country)
    assert normalise_by_rule(vector.raw, vector.key_rule, where) == vector.normalised
    if vector.rule is None:
        assert cl.identity.normalise(vector.raw, vector.key, vector.platform, vector.country) == vector.normalised


@pytest.mark.parametrize("vector", HASHED, ids=str)
def test_digest_of_one_value(vector: Vector):
    where = country_code(vector.country)
    assert hash_by_rule(vector.raw, vector.key_rule, where) == vector.sha256
    if vector.rule is None:
        assert cl.identity.hash_value(vector.raw, vector.key, vector.platform, vector.country) == vector.sha256


@pytest.mark.parametrize("repeats", [1, 1_000])
def test_digests_of_columns(repeats):
    """Short columns go value by value, long ones through the engine; both give the vectors' digests."""
    groups: dict[tuple, list[Vector]] = {}
    for vector in HASHED:
        groups.setdefault((vector.platform, vector.key, vector.rule), []).append(vector)
    for vectors in groups.values():
        raw = pd.Series([v.raw for v in vectors] * repeats, dtype="str")
        where = pd.Series([v.country for v in vectors] * repeats, dtype="str")
        wanted = pd.Series([v.sha256 for v in vectors] * repeats, dtype="str")
        pd.testing.assert_series_equal(hash_column_by_rule(raw, vectors[0].key_rule, where), wanted)
        if vectors[0].rule is None:
            found = cl.identity.hash_column(raw, vectors[0].key, vectors[0].platform, where)
            pd.testing.assert_series_equal(found, wanted)


@pytest.mark.parametrize(
    ("raw", "key", "base64"),
    [
        (" Jane.Doe@Example.COM ", "email", "huC55WwXzE0SOH4ZSbhQU/vnO8POWhGIcTqdMAzGEz0="),
        ("+1 (800) 555-0100", "phone", "+09zpuxf23B31WTN0iw1VLQ85JFoVQw7EsVHt4xRezA="),
        ("cloudy.sanfrancisco+shopping@gmail.com", "email", "Ij69pvaImxSUVRupAtnTgdry9kK64FWIjpY0PVPp+cQ="),
        ("alexz@example.com", "email", "UJ6TMBm7KFoTSpM0uLtnnf950M4CPVKa9L10TUe0/Yo="),
    ],
)
def test_base64_form(raw, key, base64):
    rule = replace(KEY_RULES["google"][key], encoding=Encoding.BASE64)
    assert hash_by_rule(raw, rule, None) == base64
    column = pd.Series([raw] * 600, dtype="str")
    assert set(hash_column_by_rule(column, rule)) == {base64}
    assert hash_by_rule(base64, rule, None) == base64, "never hashed twice"
    assert cl.identity.hash_value(base64, key, "google") == cl.identity.hash_value(raw, key, "google")


def test_one_person_has_as_many_digests_as_there_are_rules():
    email = "Jane.Doe+News@Gmail.com"
    forms = {p: cl.identity.normalise(email, "email", p) for p in KEY_RULES}
    assert forms == {
        "meta": "jane.doe+news@gmail.com",
        "tiktok": "jane.doe+news@gmail.com",
        "linkedin": "jane.doe+news@gmail.com",
        "google": "janedoe@gmail.com",
        "microsoft": "janedoe@gmail.com",
    }
    elsewhere = {p: cl.identity.normalise("Jane.Doe+News@Example.com", "email", p) for p in KEY_RULES}
    assert elsewhere["google"] == elsewhere["meta"] == "jane.doe+news@example.com"
    assert elsewhere["microsoft"] == "janedoe@example.com"
    accent = {cl.identity.hash_value("josé.núñez@gmail.com", "email", p) for p in ("meta", "google", "microsoft")}
    assert len(accent) == 3
    phone = {
        p: cl.identity.hash_value("+1 213 373 4253", "phone", p) for p in ("meta", "google", "tiktok", "microsoft")
    }
    assert phone["google"] == phone["tiktok"] == phone["microsoft"] != phone["meta"]


def test_google_before_and_after_the_tag_rule():
    rule = OTHER_RULES["google"]["email_before_2026"]
    assert normalise_by_rule("Jane.Doe+News@gmail.com", rule, None) == "janedoe+news@gmail.com"
    assert rule.until == date(2026, 8, 13)


@pytest.mark.parametrize("platform", KEY_RULES)
@pytest.mark.parametrize(
    "nothing",
    ["", " ", "\t\n", "\ufeff", "n/a", "N/A", "null", "NULL", "undefined", "None", "-", "(not set)", "NaN", "{{email}}",
     EMPTY, EMPTY.upper(), f" {EMPTY} ", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", f"{EMPTY}.AQQCAQIB",
     None, float("nan"), pd.NA, pd.NaT, np.nan],
)  # fmt: skip
def test_nothing_is_never_hashed(platform, nothing):
    for key, rule in KEY_RULES[platform].items():
        if rule.hashed and not (rule.opaque and isinstance(nothing, str) and len(nothing) > 40):
            assert cl.identity.hash_value(nothing, key, platform) is None
            column = pd.Series([nothing] * 600, dtype="object")
            assert cl.identity.hash_column(column, key, platform).isna().all()


def test_md5_is_refused_but_an_id_of_32_digits_is_an_id():
    md5 = hashlib.md5(b"jane@example.com").hexdigest()  # noqa: S324
    for key in ("email", "phone", "first_name", "city"):
        assert cl.identity.hash_value(md5, key, "meta") is None
    assert cl.identity.hash_value(md5, "external_id", "meta") == hashlib.sha256(md5.encode()).hexdigest()


@pytest.mark.parametrize(
    ("raw", "country", "e164"),
    [
        ("+39 (0)6 6982 0000", None, "+390669820000"),
        ("06 6982 0000", "IT", "+390669820000"),
        ("011 44 20 7946 0958", "US", "+442079460958"),
        ("011 44 20 7946 0958", None, "+442079460958"),
        ("0113 496 0987", "GB", "+441134960987"),
        ("0113 496 0987", None, None),
        ("0011 44 20 7946 0958", "AU", "+442079460958"),
        ("0044 20 7946 0958", "US", "+442079460958"),
        ("0044 20 7946 0958", "JP", "+442079460958"),
        ("(415) 555-0123 ext. 9", "US", "+14155550123"),
        ("415.555.0123x5", "US", "+14155550123"),
        ("٤١٥٥٥٥٠١٢٣", "US", "+14155550123"),
        ("+４４ ２０ ７９４６ ０９５８", None, "+442079460958"),
        ("tel:+1-415-555-0123", None, "+14155550123"),
        ("4155550123", "United States", "+14155550123"),
        ("4155550123", "USA", "+14155550123"),
        ("020 7946 0958", "UK", "+442079460958"),
        ("4915123456789", "DE", "+4915123456789"),
        ("555-0123", "US", None),
        ("4155550123", None, None),
        ("4155550123", "Atlantis", None),
        ("+999 123 4567", None, None),
        ("+1 415 555 01234567", None, None),
        ("not a phone", "US", None),
        ("911", "US", None),
    ],
)
def test_phones(raw, country, e164):
    assert cl.identity.normalise(raw, "phone", "google", country) == e164
    assert cl.identity.normalise(raw, "phone", "meta", country) == (None if e164 is None else e164[1:])


@pytest.mark.parametrize(
    ("raw", "country", "form"),
    [
        ("03/04/1997", None, None),
        ("03/04/1997", "US", "19970304"),
        ("03/04/1997", "GB", "19970403"),
        ("03/04/1997", "CA", None),
        ("05/05/1997", None, "19970505"),
        ("16.02.1997", None, "19970216"),
        ("1997-02-16T08:00:00Z", None, "19970216"),
        ("19970216", None, "19970216"),
        ("1997-02-30", None, None),
        ("1897-02-16", None, None),
        (date(1997, 2, 16), None, "19970216"),
        (datetime(1997, 2, 16, 8), None, "19970216"),
        (pd.Timestamp("1997-02-16"), None, "19970216"),
    ],
)
def test_birth_dates(raw, country, form):
    assert cl.identity.normalise(raw, "date_of_birth", "meta", country) == form


def test_birth_dates_as_a_time_column():
    dates = pd.Series(pd.to_datetime(["1997-02-16", None]))
    hashed = cl.identity.hash_column(dates, "date_of_birth", "meta")
    assert hashed[0] == cl.identity.hash_value("19970216", "date_of_birth", "meta")
    assert pd.isna(hashed[1])


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:0DB8::7", "2001:db8::7"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("10.0.0.1, 203.0.113.5", None),
        ("192.168.1.1", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("::1", None),
        ("fe80::1%eth0", None),
        ("fd00::1", None),
        ("localhost", None),
    ],
)
def test_network_addresses(raw, address):
    assert cl.identity.normalise(raw, "client_ip", "meta") == address
    only_v4 = None if address is None or ":" in address else address
    assert cl.identity.normalise(raw, "client_ip", "linkedin") == only_v4


@pytest.mark.parametrize(
    ("key", "raw", "country", "form"),
    [
        ("region", "Washington DC", None, "dc"),
        ("region", "Washington, D.C.", "US", "dc"),
        ("region", "US-CA", None, "ca"),
        ("region", "Georgia", "GE", "georgia"),
        ("region", "Ontario", "CA", "on"),
        ("country", "Republic of Korea", None, "kr"),
        ("country", "Deutschland", None, "de"),
        ("country", "Atlantis", None, None),
        ("postal_code", "１０１１５", "DE", "10115"),
        ("postal_code", "2139", "US", None),
        ("postal_code", "12345-6789", "SA", "123456789"),
        ("gender", "weiblich", None, "f"),
        ("gender", "Mujer", None, "f"),
        ("gender", "x", None, None),
        ("external_id", "0", None, None),
        ("user_agent", " Mozilla/5.0  (X11) ", None, " Mozilla/5.0  (X11) "),
    ],
)
def test_other_keys(key, raw, country, form):
    assert cl.identity.normalise(raw, key, "meta", country) == form


@pytest.mark.parametrize(
    ("raw", "country", "form"),
    [
        ("94043", "US", "94043"),
        (" 94043-1351\t", "United States", "94043-1351"),
        ("9404", "US", None),
        ("940431351", "US", None),
        ("94043 1351", "US", None),
        ("94043-", "US", None),
        ("94043-13511", "US", None),
        ("９４０４３", "US", None),
        ("SW1A 1AA", "US", None),
        ("SW1A 1AA", "UK", "SW1A 1AA"),
        ("sw1a 1aa", "GB", "sw1a 1aa"),
        ("12345678", "SA", "12345678"),
        ("9404", None, "9404"),
        ("9404", "Atlantis", "9404"),
    ],
)
def test_google_postcodes(raw, country, form):
    """Only the forms of the US are known; everybody else's code goes as it is written."""
    assert cl.identity.normalise(raw, "postal_code", "google", country) == form


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Dr. Anna Müller", "anna müller"),
        ("John Smith, Jr.", "john smith"),
        ("Mrs", "mrs"),
        ("O'Brien III", "o'brien"),
    ],
)
def test_google_names_without_titles(raw, name):
    assert cl.identity.normalise(raw, "last_name", "google") == name


def test_names_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="platform"):
        cl.identity.normalise("x", "email", "myspace")
    with pytest.raises(UnknownNameError, match="match key"):
        cl.identity.normalise("x", "shoe_size", "meta")
    with pytest.raises(UnknownNameError, match="linkedin"):
        cl.identity.hash_value("+14155550123", "phone", "linkedin")


@pytest.mark.parametrize("platform", KEY_RULES)
def test_clear_text_keys_are_never_hashed(platform):
    for key in ("client_ip", "user_agent"):
        assert not KEY_RULES[platform].get(key) or not KEY_RULES[platform][key].hashed
    with pytest.raises(InputError, match="clear text"):
        cl.identity.hash_value("203.0.113.5", "client_ip", platform)
    with pytest.raises(InputError, match="clear text"):
        cl.identity.hash_column(pd.Series(["203.0.113.5"]), "client_ip", platform)


@pytest.mark.parametrize("bad", [pd.Series([4155550123]), pd.Series(["a", 4155550123], dtype="object")])
def test_numbers_are_refused_without_showing_them(bad):
    with pytest.raises(InputError, match="text") as error:
        cl.identity.hash_column(bad, "phone", "meta", "US")
    assert "4155" not in str(error.value)
    with pytest.raises(InputError, match="text"):
        cl.identity.hash_value(4155550123, "phone", "meta", "US")


def test_country_per_row_must_be_of_the_same_table():
    with pytest.raises(InputError, match="index"):
        cl.identity.hash_column(pd.Series(["a"]), "phone", "meta", pd.Series(["US"], index=[5]))


def test_index_and_name_are_kept():
    values = pd.Series(["jane@example.com", None], index=[7, 3], name="email", dtype="str")
    hashed = cl.identity.hash_column(values, "email", "meta")
    assert list(hashed.index) == [7, 3]
    assert hashed.name == "email"
    assert hashed.dtype == "str"


def test_every_rule_is_named_documented_and_sourced():
    used = {r.normaliser for rules in (*KEY_RULES.values(), *OTHER_RULES.values()) for r in rules.values()}
    assert used == set(NORMALISERS)
    for name, normaliser in NORMALISERS.items():
        assert normaliser.name == name
        assert normaliser.doc.endswith(".")
        assert normaliser.source.url.startswith("https://")
    assert {key for rules in KEY_RULES.values() for key in rules} == set(MATCH_KEY_COLUMNS)


def test_the_spec_names_the_same_rules():
    spec = cl.PLATFORMS["meta"].spec
    assert {key.source: key.normalise for key in spec.match_keys} == {
        key: rule.normaliser for key, rule in KEY_RULES["meta"].items()
    }
    assert {key.field for key in spec.match_keys if not key.hashed} == {
        "client_ip_address",
        "client_user_agent",
    }
