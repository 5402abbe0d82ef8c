"""The column equals the scalar on every input, and nothing but our own errors comes out of either."""

from __future__ import annotations

import random
import re
import string

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.identity import KEY_RULES, hashing
from capi_lab.identity.digests import recognise
from capi_lab.identity.hashing import hash_by_rule
from capi_lab.identity.phone import fast_plan
from tests.depth import THOROUGH

HASHED_KEYS = [(p, key) for p, rules in KEY_RULES.items() for key, rule in rules.items() if rule.hashed]
FAST_KEYS = [pair for pair in HASHED_KEYS if pair[1] in {"email", "phone"}]
COUNTRIES = [
    "US",
    "GB",
    "DE",
    "IT",
    "JP",
    "BR",
    "AR",
    "MX",
    "KZ",
    "CA",
    "BS",
    "AU",
    "uk",
    "Germany",
    "??",
    None,
]

mails = st.from_regex(
    r"\A[ \t]?[A-Za-z0-9.+_%'é-]{0,6}[@＠]?(gmail|GoogleMail|x|ü)?[.]?(com|co\.uk|)[ .]?\Z",
    alphabet=st.characters(),
)
phones = st.from_regex(r"\A[+＋(]{0,2}[0-9٣]{0,4}[ ().\-/x]{0,2}(\(0\))?[0-9 ]{0,12}( ?x[0-9])?\Z")
hashes = st.from_regex(r"\A ?[0-9a-fA-F]{31,33}([0-9a-f]{31,33})?(\.AQ)?\Z")
odd = st.text(alphabet=st.characters(codec=None), max_size=12)
values = st.one_of(mails, phones, hashes, odd, st.sampled_from(["", "null", "N/A", None, float("nan"), "\ud800@x.y"]))


@pytest.fixture
def engine_from_one_row(monkeypatch):
    """Send even the shortest column through the engine."""
    monkeypatch.setattr(hashing, "_FEW", 0)


@pytest.mark.parametrize(("platform", "key"), HASHED_KEYS)
@settings(
    max_examples=40 if THOROUGH else 12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.tuples(values, st.sampled_from(COUNTRIES)), min_size=1, max_size=30))
@example(rows=[("Jane.Doe+a@gmail.com", None), ("...@gmail.com", None), ("a@gmail.com.", None), ("İ@x.y", None)])
@example(rows=[("x\x00@y.z", None), ("a@\u2028b.c", "US"), ("+1 (415) 555-0123", "US"), ("0" * 400, "DE")])
def test_column_equals_scalar(engine_from_one_row, platform, key, rows):
    raw = pd.Series([value for value, _ in rows], dtype="object")
    where = pd.Series([country for _, country in rows], dtype="object")
    per_row = [cl.identity.hash_value(v, key, platform, c) for v, c in rows]
    found = cl.identity.hash_column(raw, key, platform, where)
    assert [None if pd.isna(h) else h for h in found] == per_row
    one = [cl.identity.hash_value(v, key, platform, rows[0][1]) for v, _ in rows]
    found = cl.identity.hash_column(raw, key, platform, rows[0][1])
    assert [None if pd.isna(h) else h for h in found] == one
    for digest in per_row:
        assert digest is None or re.fullmatch(r"[0-9a-f]{64}(\.[\w-]+)?", digest)


def digits_of(rng: random.Random, region: str) -> str:
    """A number near what the region uses: its own code, trunk and exit prefixes, all lengths, common separators."""
    import phonenumbers

    code = str(phonenumbers.country_code_for_region(region))
    body = "".join(rng.choices(string.digits, k=rng.randint(3, 14)))
    example_number = phonenumbers.example_number_for_type(region, rng.choice((0, 1, 2)))
    if example_number is not None and rng.random() < 0.6:
        body = phonenumbers.national_significant_number(example_number)
        body = body[:-3] + "".join(rng.choices(string.digits, k=3))
    head = rng.choice(["", "", "0", "1", "8", "00", "011", code, f"+{code}", f"+{code}", f"00{code}", f"+{code}0"])
    text = head + body
    if rng.random() < 0.4:
        at = sorted(rng.sample(range(1, len(text)), k=min(2, len(text) - 1)))
        for position in reversed(at):
            text = text[:position] + rng.choice([" ", "-", ".", ") ", "(0)", "/"]) + text[position:]
    return text


def test_phones_of_every_region(engine_from_one_row):
    """The patterns read every region's numbers (in a short run: every fourth's) as the library does."""
    import phonenumbers

    rng = random.Random(7)
    rule = KEY_RULES["google"]["phone"]
    settled = total = 0
    # Ascension and Tristan da Cunha have numbers but no country code of ISO 3166-1.
    regions = sorted(phonenumbers.SUPPORTED_REGIONS - {"AC", "TA"})
    for region in regions if THOROUGH else regions[:: len(regions) // 60]:
        texts = [digits_of(rng, region) for _ in range(60 if THOROUGH else 40)]
        found = cl.identity.hash_column(pd.Series(texts, dtype="str"), "phone", "google", region)
        wanted = [hash_by_rule(text, rule, region) for text in texts]
        assert [None if pd.isna(h) else h for h in found] == wanted, region
        total += len(texts)
        settled += sum(digest is not None for digest in wanted)
    assert settled > total / 4, "the sample must hold numbers that exist"


def test_clear_numbers_do_not_reach_the_parser(engine_from_one_row, monkeypatch):
    def refuse(*_):
        raise AssertionError("the parser was asked")

    monkeypatch.setattr(hashing, "hash_by_rule", refuse)
    clear = {"US": ["+14155550123", "(415) 555-0123", "415-555-0123", "1 415 555 0123", "+44 20 7946 0958"],
             "GB": ["07911 123456", "020 7946 0958", "+447911123456", "447911123456"],
             "DE": ["0151 23456789", "030-901820"], "FR": ["06 12 34 56 78"], "ES": ["612345678"],
             None: ["+5511912345678", "+393401234567"]}  # fmt: skip
    for region, numbers in clear.items():
        assert cl.identity.hash_column(pd.Series(numbers, dtype="str"), "phone", "meta", region).notna().all()
    mail = ["jane.doe42@gmail.com", "JOHN+x@Example.co.uk", "o'neil@example.org"]
    for platform in KEY_RULES:
        assert cl.identity.hash_column(pd.Series(mail, dtype="str"), "email", platform).notna().all()


def test_plans_compile_in_the_engine():
    import duckdb
    import phonenumbers

    engine = duckdb.connect()
    for region in phonenumbers.SUPPORTED_REGIONS:
        plan = fast_plan(region)
        for pattern in (
            plan.international,
            plan.stripped,
            plan.refused,
            plan.prefixed,
            plan.general,
            plan.trunk,
        ):
            assert "'" not in pattern
            engine.execute(f"SELECT regexp_matches('1', '{pattern}')")


@pytest.mark.parametrize("dtype", ["str", "object", "string", "category"])
def test_any_text_dtype(dtype):
    raw = pd.Series(["Jane@Example.com", None, "x"] * 300).astype(dtype)
    wanted = [cl.identity.hash_value(v, "email", "meta") for v in ("Jane@Example.com", None, "x")] * 300
    found = cl.identity.hash_column(raw, "email", "meta")
    assert [None if pd.isna(h) else h for h in found] == wanted


def test_empty_and_all_missing_columns():
    assert len(cl.identity.hash_column(pd.Series([], dtype="str"), "email", "meta")) == 0
    missing = pd.Series([float("nan")] * 700)
    assert cl.identity.hash_column(missing, "phone", "meta", "US").isna().all()
    no_country = pd.Series([None] * 700, dtype="object")
    assert cl.identity.hash_column(pd.Series(["x"] * 700), "phone", "meta", no_country).isna().all()


@settings(max_examples=150, deadline=None)
@given(value=values, country=st.sampled_from(COUNTRIES))
def test_laws(value, country):
    """Hashing a digest changes nothing; a normalised form is its own normalised form."""
    for platform, rules in KEY_RULES.items():
        for key, rule in rules.items():
            form = cl.identity.normalise(value, key, platform, country)
            assert form is None or form
            if rule.hashed:
                digest = cl.identity.hash_value(value, key, platform, country)
                assert cl.identity.hash_value(digest, key, platform, country) == digest
            # Meta's phone has lost the plus that tells its country.
            if key != "phone" or platform != "meta":
                assert cl.identity.normalise(form, key, platform, country) == form


def test_fuzz():
    """100,000 odd identifiers: a digest or nothing, no foreign error, and no digest of nothing."""
    rng = random.Random(11)
    signs = "abzABZ09@+.-_ ()'\"\t\x00éß李İ٣０＠\u0301\u200b\ufeff\u202e😀\ud83d"
    pieces = [*signs, "gmail.com", "null", "@", "+1", "00", "(0)", "ext. 5", "e3b0c442", "{{x}}"]
    texts = ["".join(rng.choices(pieces, k=rng.randint(0, 9))) for _ in range(100_000 // len(HASHED_KEYS) + 1)]
    for platform, key in HASHED_KEYS:
        hashed = cl.identity.hash_column(pd.Series(texts, dtype="object"), key, platform, rng.choice(["US", "DE"]))
        kinds = {recognise(digest) is not None for digest in hashed.dropna()}
        assert kinds <= {True}


def test_an_id_of_zero_is_nobody() -> None:
    """``0`` stands for a guest: neither the scalar nor the long column's fast way makes one person of all of them."""
    column = pd.Series(["0", "null", "7", "a"] * 300, dtype="str")
    for platform in ("meta", "tiktok"):
        hashed = cl.identity.hash_column(column, "external_id", platform)
        expected = [cl.identity.hash_value(value, "external_id", platform) for value in ("0", "null", "7", "a")]
        assert [None if pd.isna(one) else one for one in hashed[:4]] == expected
        assert expected[0] is None


@pytest.mark.parametrize("country", [float("nan"), None, pd.NA, pd.NaT])
def test_a_missing_country_is_no_country(country: object) -> None:
    """However a missing country is written, the number is read without one; a number for a country is refused."""
    assert cl.identity.hash_value("+49 151 23456789", "phone", "meta", country) is not None
    assert cl.identity.normalise("0151 23456789", "phone", "meta", country) is None
    with pytest.raises(InputError, match="country"):
        cl.identity.hash_value("0151 23456789", "phone", "meta", 49)
