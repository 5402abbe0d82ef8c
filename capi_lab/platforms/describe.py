"""The rules as text: what docs/platforms.md and ``capi-lab platforms`` show. Nothing here is written by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from capi_lab.identity import KEY_RULES, NORMALISERS
from capi_lab.platforms.pixel import PixelRule
from capi_lab.platforms.route import Route
from capi_lab.platforms.rules import Assumption, DedupRule, ReportRule, Wrapped
from capi_lab.platforms.server import Server
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.sources import Source

__all__ = ["describe", "describe_all", "duration"]


def duration(length: timedelta | None) -> str:
    """Write a duration as people say it; None is ``not known``."""
    if length is None:
        return "not known"
    seconds = round(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0 and (unit != "day" or seconds // size != 2):
            n = seconds // size
            return f"{n} {unit}{'s' * (n != 1)}"
    return f"{seconds} s"


def describe_all(specs: Iterable[PlatformSpec]) -> str:
    """Write all platforms as one Markdown page."""
    specs = list(specs)
    lines = [
        "# Platforms",
        "",
        "Written by `make docs` from the values in `capi_lab/platforms/` and `capi_lab/identity/rules.py`; a test",
        "holds it to them. The facts were read in documentation and vendors' code; none was tried against a live",
        "API. Each has a source, the day it was read and how far it is known: *high* (official page or code),",
        "*medium* (a third party that quotes it), *low* (a single report), *assumed* (documented nowhere we could",
        "read; dedup can be replayed under another rule).",
        "",
        "| platform | routes | match keys | click ids | dedup key | window |",
        "|---|---|---|---|---|---|",
    ]
    for spec in specs:
        rule = spec.dedup
        cells = (
            f"[{spec.title}](#{spec.title.lower().replace(' ', '-')})",
            ", ".join(f"`{route.name}`" for route in spec.routes),
            str(len(spec.match_keys)),
            ", ".join(f"`{one.param}`" for one in spec.click_ids),
            " + ".join(f"`{name}`" for name in rule.key),
            duration(rule.window),
        )
        lines.append(f"| {' | '.join(cells)} |")
    for spec in specs:
        lines += ["", describe(spec)]
    return "\n".join(lines).rstrip() + "\n"


def describe(spec: PlatformSpec) -> str:
    """Write one platform's rules as Markdown, starting at heading level 2."""
    lines = [f"## {spec.title}", "", "**Event names**", ""]
    lines.append(
        ", ".join(f"{ours} → `{theirs}`" for ours, theirs in sorted(spec.event_names.items())) or "none of its own"
    )
    lines += ["", *_sourced(spec.sources, "event_names"), "", "**Match keys**", ""]
    rules = KEY_RULES[spec.name]
    lines += _table(
        ("our column", "field", "sent as", "rule", "known"),
        (
            (
                f"`{key.source}`",
                f"`{key.field}`",
                f"SHA-256, {key.encoding}" if key.hashed else "clear text",
                NORMALISERS[key.normalise].doc,
                rules[key.source].source.confidence,
            )
            for key in spec.match_keys
        ),
    )
    lines += ["", "**Click and browser ids**", ""]
    lines += _table(
        ("our column", "cookie", "life", "a click?", "a value of another shape", "not beside", "holds inside"),
        (
            (
                f"`{one.param}`",
                f"`{one.cookie}`",
                duration(one.life),
                "yes" if one.is_click else "no",
                "is refused" if one.strict else "is suspicious",
                ", ".join(f"`{name}`" for name in one.excludes) or "–",
                _wrapped(one.wraps),
            )
            for one in spec.click_ids
        ),
    )
    consent = ", ".join(f"`{ours}` → `{theirs}`" for ours, theirs in spec.consent.fields.items()) or "no field"
    strict = ", ".join(sorted(spec.consent.missing_is_denied_in))
    strict = f" Missing counts as denied in: {strict}." if strict else ""
    lines += ["", f"**Consent** {consent}. Missing: {spec.consent.missing or 'not told'}.{strict}"]
    lines += ["", "**Attribution windows** " + "; ".join(_windows(spec)) + "."]
    lines += ["", "**Reports** " + "; ".join(_reports(spec.reports)) + "."]
    sourced = [name for name in spec.sources if name.split(".")[0] in ("click_ids", "consent", "windows", "reports")]
    lines += ["", *_sourced(spec.sources, *sorted(sourced))]
    lines += ["", *_pixel(spec.pixel)]
    for route in spec.routes:
        lines += ["", *_route(route, default=route is spec.routes[0])]
    return "\n".join(lines)


def _pixel(rule: PixelRule) -> Iterator[str]:
    yield "**Pixel requests**"
    yield ""
    yield from _table(
        ("host", "path", "carries"), ((f"`{one.host}`", f"`{one.path}`", one.carries) for one in rule.endpoints)
    )
    yield ""
    yield from _table(
        ("our column", "parameter, the first that is there", "of the form"),
        (
            (f"`{ours}`", ", ".join(f"`{name}`" for name in one.names), f"`{one.pattern}`" if one.pattern else "–")
            for ours, one in rule.fields.items()
        ),
    )
    yield ""
    if rule.no_events:
        yield f"- no events: {', '.join(f'`{name}`' for name in sorted(rule.no_events))}"
    for parameter, name in rule.unnamed:
        yield f"- without a name, {f'with `{parameter}`' if parameter else 'else'}: `{name}`"
    yield from _sourced(rule.sources, *sorted(rule.sources))


def _wrapped(wraps: Wrapped | None) -> str:
    if wraps is None:
        return "–"
    return f"`{wraps.param}`" + (f", made as `{wraps.made}`" if wraps.made else "")


def _windows(spec: PlatformSpec) -> Iterator[str]:
    for window in spec.windows:
        options = f" (or {', '.join(duration(one) for one in window.options)})" if window.options else ""
        note = f", {window.note}" if window.note else ""
        yield f"{window.touch} {duration(window.default)}{options}{note}"
    ends = {_answer(window.end_inside) for window in spec.windows}
    yield f"the very end is inside: {' / '.join(sorted(ends))}"


def _reports(rule: ReportRule) -> Iterator[str]:
    yield "counts by day: " + ", ".join(f"{metric} (day of the {dated})" for metric, dated in rule.counts.items())
    if rule.by_click_id:
        yield f"with a click id: {', '.join(rule.by_click_id)}"
    if rule.buckets:
        ranges = ", ".join(f"{low} to {high}" for low, high in rule.buckets.ranges)
        yield f"match rate as a range of {ranges} %, from {rule.buckets.least} matches on"
    yield f"modelled conversions among the attributed: {_answer(rule.models)}"


def _route(route: Route, *, default: bool) -> Iterator[str]:
    limits = route.limits
    yield f"### Route `{route.name}`: {route.title}" + (" (default)" if default else "")
    yield ""
    yield f"`{route.method} {route.url}`"
    yield ""
    secrets = ", ".join(f"`{name}`" for name in route.auth.credentials)
    yield f"- credential: {route.auth.style} `{route.auth.field}`, from {secrets}" + (
        f"; {route.auth.note}" if route.auth.note else ""
    )
    ages = "".join(f", {duration(age)} for `{source}`" for source, age in limits.max_age_of.items())
    yield f"- at most {limits.batch_rows:,} rows a request; no older than {duration(limits.max_age)}{ages}"
    yield f"- times as {route.time}; a bad row {route.bad_row}"
    yield f"- a resend with the same key counts once: {_answer(route.resend)}"
    pace = route.sending.pace
    most = " and ".join(f"{n:,} in {duration(per)}" for n, per in pace.limits) or "no figure known"
    yield f"- pace: requests {most}; {pace.parallel} at once; an answer is waited for {duration(route.sending.timeout)}"
    probe = route.sending.probe
    yield f"- trying out without recording: {'not possible' if probe is None else probe.note}"
    yield "- read-back: " + ("none" if route.reading is None else f"`{route.reading.method} {route.reading.url}`")
    kinds = ", ".join(f"{kind} (`{word}`)" for kind, word in route.corrections.kinds.items()) or "none"
    yield f"- corrections: {kinds}" + (f"; {route.corrections.note}" if route.corrections.note else "")
    yield ""
    yield from _table(
        ("setting", "meaning", "form", "default"),
        (
            (
                f"`{one.name}`",
                one.meaning,
                f"`{_cell(one.pattern)}`",
                one.default or ("required" if one.required else "–"),
            )
            for one in route.settings
        ),
    )
    yield ""
    yield "**Needs**: a row of which one of these is true is not eligible"
    yield ""
    yield from _table(("rule", "reason", "what is wrong"), ((n.rule, f"`{n.reason}`", n.message) for n in route.needs))
    yield ""
    yield "**Dedup**"
    yield ""
    yield from _dedup(route.dedup)
    yield ""
    yield "**Fields**"
    yield ""
    yield from _table(
        ("field", "type", "required", "our column", "note"),
        (
            (f"`{one.path}`", one.type, one.required, f"`{one.column}`" if one.column else "–", one.note or "–")
            for one in route.fields
        ),
    )
    yield ""
    yield from _server(route.server)
    yield ""
    yield "**Answers**"
    yield ""
    yield from _table(
        ("code", "outcome", "meaning", "what to do"),
        ((f"`{one.code}`", one.status, one.meaning, one.remedy or "–") for one in route.codes),
    )
    yield ""
    yield from _sourced(route.sources, *sorted(route.sources))


def _server(server: Server) -> Iterator[str]:
    yield "**Refusals**: what the server says, and to which needs"
    yield ""
    said: dict[str, list[str]] = {}
    for why, code in [*server.refusals.items(), *server.needs.items()]:
        said.setdefault(code, []).append(str(why))
    yield from _table(
        ("code", "HTTP status", "to"),
        ((f"`{code}`", server.status(code), ", ".join(whys)) for code, whys in said.items()),
    )
    yield ""
    for rule, reason in server.late.items():
        yield f"- {rule} is told afterwards: `{reason}`"
    for header, name in server.headers.items():
        yield f"- header `{header}`: `{name}`"
    if server.versions:
        yield f"- versions served: {', '.join(f'`{one}`' for one in server.versions)}"
    if server.version_months:
        yield f"- a version is served for {server.version_months} months"


def _dedup(rule: DedupRule) -> Iterator[str]:
    yield f"- same {' and '.join(f'`{name}`' for name in rule.key)} within {duration(rule.window)}; kept: {rule.keep}"
    yield f"- repeats within one channel merge: {_answer(rule.same_channel)}"
    if rule.blind_to_case:
        yield f"- without regard to case: {', '.join(f'`{name}`' for name in rule.blind_to_case)}"
    if rule.missing_matches:
        yield f"- two missing values are equal in: {', '.join(f'`{name}`' for name in rule.missing_matches)}"
    if rule.prefer:
        yield f"- within {duration(rule.prefer.within)} of each other the {rule.prefer.channel} copy is kept"
    if rule.merge:
        fill = ", ".join(f"`{name}`" for name in rule.merge.fill) or "nothing"
        replace = ", ".join(f"`{name}`" for name in rule.merge.replace) or "nothing"
        when = f"within {duration(rule.merge.within)}" if rule.merge.within else "within the window"
        whole = " if it has none of them" if rule.merge.fill_together else " where it is empty"
        yield f"- {when} the kept event takes over: {fill}{whole}; overwritten: {replace}"
    if rule.fallback:
        window = f" within {duration(rule.fallback.window)}" if rule.fallback.window else ""
        yield (
            f"- without the id: {' or '.join(f'`{name}`' for name in rule.fallback.keys)}{window}, "
            f"{rule.fallback.first} first only"
        )
    if rule.instead:
        yield f"- where the key is lacking: {' and '.join(f'`{name}`' for name in rule.instead)}"


def _answer(value: bool | Assumption) -> str:
    if isinstance(value, Assumption):
        return f"{'yes' if value.value else 'no'}, **assumed** ({value.question})"
    return "yes" if value else "no"


def _sourced(sources: Mapping[str, Source], *names: str) -> Iterator[str]:
    """Yield one line per source, with all facts that were read there."""
    grouped: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        grouped.setdefault(dataclasses.astuple(sources[name]), []).append(name)
    for (url, checked, confidence, note), facts in grouped.items():
        yield f"- {', '.join(facts)}: <{url}>, {checked}, {confidence}" + (f"; {note}" if note else "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(_cell(str(cell)) for cell in row)} |"


def _cell(text: str) -> str:
    return text.replace("\\|", "|").replace("|", "\\|").replace("\n", " ")
