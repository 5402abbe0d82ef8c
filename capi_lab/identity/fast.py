"""The clear cases of the common normalisers as SQL, in two steps: ``x`` to ``y``, ``y`` to ``n``.

``n`` is exactly what the scalar normaliser gives, or NULL for "not clear, ask the scalar one". Most e-mail
addresses and phone numbers are clear, so a column is done at the engine's speed.
"""

from __future__ import annotations

from functools import cache

from capi_lab.identity.phone import fast_plan
from capi_lab.identity.text import PLACEHOLDERS

__all__ = ["fast_query"]

# Not a dot or plus first: something is left of the local part when dots and tag are gone.
_LOCAL = "[A-Za-z0-9_%''-][A-Za-z0-9._%+''-]*"
_ADDRESS = f"CASE WHEN regexp_full_match(x, '{_LOCAL}@[A-Za-z0-9.-]+') THEN lower(x) END"
_DOTTED_ADDRESS = f"CASE WHEN regexp_full_match(x, '{_LOCAL}@[A-Za-z0-9-]+(?:[.][A-Za-z0-9-]+)+') THEN lower(x) END"
_WITHOUT_TAG_AND_DOTS = (
    "concat(replace(CASE WHEN contains(y, '+') THEN split_part(split_part(y, '@', 1), '+', 1) "
    "ELSE split_part(y, '@', 1) END, '.', ''), '@', split_part(y, '@', 2))"
)
# Far cheaper than splitting: take all dots out and put the domain's one back.
_WITHOUT_DOTS = "replace(replace(y, '.', ''), '@gmailcom', '@gmail.com')"
_GMAIL = (
    f"CASE WHEN ends_with(y, '@gmail.com') AND NOT contains(y, '+') THEN {_WITHOUT_DOTS} "
    f"WHEN ends_with(y, '@gmail.com') OR ends_with(y, '@googlemail.com') THEN {_WITHOUT_TAG_AND_DOTS} ELSE y END"
)
_EMAILS = {
    "email_lower": (_ADDRESS, "y"),
    "email_without_blanks": (_ADDRESS, "y"),
    "email_google": (_ADDRESS, _GMAIL),
    "email_microsoft": (_DOTTED_ADDRESS, f"CASE WHEN y IS NOT NULL THEN {_WITHOUT_TAG_AND_DOTS} END"),
}

# Plain digits, or digits between separators that the phone library skips, no longer than anybody writes them.
# A zero in brackets, "+44 (0)20", needs thought; blanks inside brackets could hide one.
_DIGITS = (
    "CASE WHEN regexp_full_match(x, '[+]?[0-9]{7,17}') THEN x "
    # (415) 555-0123, the commonest form with separators, by position: a third of the general way's time.
    "WHEN regexp_full_match(x, '[(][0-9]{3}[)] [0-9]{3}-[0-9]{4}') "
    "THEN concat(substr(x, 2, 3), substr(x, 7, 3), substr(x, 11, 4)) "
    "WHEN regexp_full_match(x, '[+(]?[0-9][0-9 ().-]{5,30}[0-9]') "
    "AND NOT contains(x, '(0)') AND NOT contains(x, '( ') AND NOT contains(x, ' )') "
    "THEN replace(replace(replace(replace(replace(x, ' ', ''), '-', ''), '(', ''), ')', ''), '.', '') END"
)

# Shorter than any digest, and nothing at the ends that could be trimmed.
_NOTHING = ", ".join(f"'{word}'" for word in sorted(PLACEHOLDERS) if word.isalnum())
_ID = (
    "CASE WHEN regexp_full_match(x, '[A-Za-z0-9](?:[A-Za-z0-9_.@-]{0,28}[A-Za-z0-9])?') "
    f"AND x <> '0' AND lower(x) NOT IN ({_NOTHING}) THEN x END"
)


@cache
def _e164(region: str | None) -> str:
    plan = fast_plan(region)
    arms = [
        f"WHEN starts_with(y, '+') THEN CASE WHEN regexp_full_match(y, '{plan.international}') "
        f"AND NOT regexp_matches(y, '{plan.stripped}') THEN y END"
    ]
    if plan.code:
        if plan.refused:
            arms.append(f"WHEN regexp_matches(y, '{plan.refused}') THEN NULL")
        arms.append(
            f"WHEN regexp_full_match(y, '{plan.national}') AND NOT regexp_matches(y, '{plan.prefixed}') "
            f"THEN '+{plan.code}' || y"
        )
        if plan.trunk:
            arms.append(
                f"WHEN regexp_full_match(y, '{plan.trunk}') AND NOT regexp_full_match(y, '{plan.general}') "
                f"THEN '+{plan.code}' || substr(y, 2)"
            )
        if plan.with_code:
            arms.append(
                f"WHEN regexp_full_match(y, '{plan.with_code}') AND NOT regexp_matches('+' || y, '{plan.stripped}') "
                "THEN '+' || y"
            )
    return f"CASE {' '.join(arms)} END"


def fast_query(normaliser: str, country: str | None, table: str) -> str | None:
    """Return a query over the text column ``x`` of a table that yields ``x`` and ``n``.

    Parameters
    ----------
    normaliser, country : str
        ``country`` is alpha-2.
    table : str
        A name the engine knows.

    Returns
    -------
    str or None
        None where a normaliser has no fast form.
    """
    if normaliser in _EMAILS:
        first, then = _EMAILS[normaliser]
    elif normaliser in {"id_verbatim", "id_trimmed"}:
        first, then = _ID, "y"
    elif normaliser in {"phone_e164", "phone_digits"}:
        first, then = _DIGITS, _e164(country)
        then = f"substr({then}, 2)" if normaliser == "phone_digits" else then
    else:
        return None
    # Everything in it is written above or comes out of the phone library's tables; values stay in the table.
    return f"SELECT x, {then} AS n FROM (SELECT x, {first} AS y FROM {table})"  # noqa: S608
