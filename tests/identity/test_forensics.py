"""Mistakes people make with hashes are found again from the hashes."""

from __future__ import annotations

import base64
import hashlib

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.words import HashVerdict

MAILS = ["Jane.Doe+News@Gmail.com", "john@example.com", "Maria@Example.org"]
PHONES = ["(415) 555-0123", "+44 20 7946 0958", "0151 23456789"]
WHERE = pd.Series(["US", "GB", "DE"])


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def verdicts(hashed, raw=None, **kwargs) -> dict[str, int]:
    table = cl.identity.inspect_hashes(
        pd.Series(hashed, dtype="object"), None if raw is None else pd.Series(raw, dtype="object"), **kwargs
    )
    assert list(table.columns) == ["verdict", "k", "n", "share", "remedy"]
    assert (table["n"] == len(hashed)).all()
    assert table["k"].sum() == len(hashed)
    return dict(zip(table["verdict"], table["k"], strict=True))


def right(raw, key, platform, country=None):
    return list(cl.identity.hash_column(pd.Series(raw), key, platform, country))


@pytest.mark.parametrize("platform", ["meta", "google", "tiktok", "microsoft", "linkedin"])
def test_right_hashes_are_ok(platform):
    assert verdicts(right(MAILS, "email", platform), MAILS, key="email", platform=platform) == {"ok": 3}


def test_double_hashes():
    twice = [sha(h) for h in right(MAILS, "email", "meta")]
    assert verdicts(twice, MAILS, key="email", platform="meta") == {"double_hashed": 3}
    careless = [sha(sha(mail)) for mail in MAILS]
    assert verdicts(careless, MAILS, key="email", platform="meta") == {"double_hashed": 3}
    upper = [sha(h.upper()) for h in right(MAILS, "email", "meta")]
    assert verdicts(upper, MAILS, key="email", platform="meta") == {"double_hashed": 3}


def test_hashes_of_values_as_typed():
    assert verdicts([sha(m) for m in MAILS], MAILS, key="email", platform="meta") == {
        "ok": 1,
        "not_normalised": 2,
    }
    assert verdicts([sha(" O'Brien ")], [" O'Brien "], key="last_name", platform="meta") == {"not_normalised": 1}


def test_another_platforms_rule():
    found = verdicts(right(MAILS, "email", "meta"), MAILS, key="email", platform="google")
    assert found == {"ok": 2, "not_normalised": 1}
    found = verdicts(right(PHONES, "phone", "meta", WHERE), PHONES, key="phone", platform="tiktok", country=WHERE)
    assert found == {"not_normalised": 3}


def test_nothing_hashed_and_nothing_there():
    hashed = [sha(""), sha("null"), sha(sha("")), None, "", "n/a"]
    assert verdicts(hashed, key="email", platform="meta") == {"empty_hash": 3, "missing": 3}


def test_wrong_country():
    american = right(["0151 23456789", "020 7946 0958"], "phone", "google", "US")
    assert american == [american[0], american[1]]
    wrong = [sha("+115123456789"), sha("+12079460958")]
    raw = ["0151 23456789", "020 7946 0958"]
    where = pd.Series(["DE", "GB"])
    assert verdicts(wrong, raw, key="phone", platform="google", country=where) == {"wrong_country": 2}
    bare = [sha("15123456789")]
    assert verdicts(bare, raw[:1], key="phone", platform="google", country="DE") == {"wrong_country": 1}
    assert verdicts([sha("+12079460958")], ["+44 20 7946 0958"], key="phone", platform="google") == {"wrong_country": 1}


def test_a_national_number_without_country_is_ok_where_it_is_valid():
    assert verdicts([sha("+4915123456789")], ["0151 23456789"], key="phone", platform="google") == {"ok": 1}
    assert verdicts([sha("+3915123456789")], ["0151 23456789"], key="phone", platform="google") == {"wrong_country": 1}


def test_encodings():
    digests = right(MAILS, "email", "meta")
    upper = [h.upper() for h in digests]
    coded = [base64.b64encode(bytes.fromhex(h)).decode() for h in digests]
    for written in (upper, coded):
        assert verdicts(written, MAILS, key="email", platform="meta") == {"wrong_encoding": 3}
        assert verdicts(written, key="email", platform="meta") == {"wrong_encoding": 3}
    google = [base64.b64encode(bytes.fromhex(h)).decode() for h in right(MAILS, "email", "google")]
    assert verdicts(google, MAILS, key="email", platform="google") == {"ok": 3}
    assert verdicts([f"{digests[0]}.AQQCAQIB"], MAILS[:1], key="email", platform="meta") == {"ok": 1}


def test_other_digests_and_clear_text():
    md5 = hashlib.md5(b"john@example.com").hexdigest()  # noqa: S324
    sha1 = hashlib.sha1(b"john@example.com").hexdigest()  # noqa: S324
    found = verdicts([md5, sha1, "john@example.com"], key="email", platform="meta")
    assert found == {"md5": 1, "sha1": 1, "not_a_hash": 1}


def test_what_no_mistake_explains_is_unknown():
    assert verdicts([sha("somebody else")], ["john@example.com"], key="email", platform="meta") == {"unknown": 1}
    assert verdicts([sha("somebody else")], key="email", platform="meta") == {"ok": 1}


def test_raw_column_that_was_hashed_already():
    digests = right(MAILS, "email", "meta")
    assert verdicts(digests, digests, key="email", platform="meta") == {"ok": 3}
    assert verdicts([sha(h) for h in digests], digests, key="email", platform="meta") == {"double_hashed": 3}


def test_no_value_is_shown():
    table = cl.identity.inspect_hashes(pd.Series(MAILS), pd.Series(MAILS), key="email", platform="meta")
    assert set(table["verdict"]) <= set(HashVerdict)
    assert not any(mail.split("@")[0].lower() in table.to_string().lower() for mail in MAILS)


def test_columns_of_different_length():
    with pytest.raises(InputError, match="one row each"):
        cl.identity.inspect_hashes(pd.Series(["a"]), pd.Series(["a", "b"]), key="email", platform="meta")


def test_empty_column():
    assert len(cl.identity.inspect_hashes(pd.Series([], dtype="str"), key="email", platform="meta")) == 0
