"""The report that goes with a verdict: a page to read and print, and the lines of the command.

The page is one file without scripts, styles from elsewhere or pictures. Every text of the record is escaped and
isolated, so that neither markup nor the direction of its letters reaches what stands around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import report_words as words
from .encoding import JsonObject
from .report_style import STYLE
from .verifier.context import Context, Election
from .verify import Check, Report

VERDICTS = {
    "ok": "Everything that could be checked is right",
    "failed": "This record is not right",
    "unreadable": "This record cannot be read",
}
_UNSURE = "A check failed. The figures below are what the record says; nothing confirms them."


def escape(text: str) -> str:
    """Return the text as HTML shows it."""
    from html import escape as as_html  # only a report in HTML wants it; a short run starts sooner

    return as_html(text)


def to_text(report: Report) -> str:
    """Return what the command prints: checks, verdict, and the results where all checks passed."""
    marks = {True: "ok  ", False: "FAIL", None: "  - "}
    lines = []
    for check in report.checks:
        detail = f" ({check.detail})" if check.detail else ""
        lines.append(f"{marks[check.ok]}  {check.id}  {check.title}{detail}")
    passed = sum(check.ok is True for check in report.checks)
    skipped = sum(check.ok is None for check in report.checks)
    reason = f" ({report.detail})" if report.detail else ""
    lines.append(f"{report.verdict.upper()}{reason}: {passed} checks passed, {skipped} not checked")
    if report.verdict == "ok" and report.context is not None:
        lines += _text_results(report.context)
    return "\n".join(lines)


def _text_results(context: Context) -> Iterator[str]:
    info = context.bundle.info
    yield ""
    yield f"{info['organisation']['name']}, {info['meeting']['title']}"
    if info["meeting"]["rehearsal"]:
        yield "REHEARSAL: nothing was decided here"
    yield f"server key {info['server_key']} (compare it with the one your organisation publishes)"
    for name, election in context.elections.items():
        manifest, core = election.manifest.json, election.core
        yield f"{name}: {manifest['title']}: {core['cast']} of {manifest['electorate_size']} voted"
        closing = context.at_closing(name)
        if closing is not None:
            yield f"  present: {manifest['present']} at opening, {closing['present']} at closing"
        for question, counts, found in _questions(election):
            elected = ", ".join(words.option(question, index) for index in found["options"])
            said = words.outcome(question, found) + (f": {elected}" if found["kind"] == "elected" else "")
            votes = ", ".join(f"{label} {total}" for label, total in words.votes(question, counts, found))
            yield f"  {question['text']}: {said}" + (f" ({votes})" if votes else "")
        yield from (f"  {remark}" for remark in words.remarks(manifest, core))


def to_html(report: Report) -> str:
    """Return the report as one HTML page."""
    title = "Report on the record of a meeting's votes"
    if report.context is not None:
        info = report.context.bundle.info
        title = f"{info['meeting']['title']} \u2013 {info['organisation']['name']}"
    body = "\n".join((*_head(report), *_elections(report), *_people(report), *_checks(report), *_not_shown()))
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<main class="{report.verdict}">\n{body}\n</main>\n</body>\n</html>\n'
    )


def _t(text: str) -> str:
    """Return a text of the record, escaped and isolated, with its line ends kept."""
    return f"<bdi>{escape(text).replace(chr(10), '<br>')}</bdi>"


def _head(report: Report) -> Iterator[str]:
    if report.context is not None:
        info = report.context.bundle.info
        yield f"<p class=organisation>{_t(info['organisation']['name'])}</p>"
        yield f"<h1>{_t(info['meeting']['title'])}</h1>"
        if info["meeting"]["rehearsal"]:
            yield "<p class=rehearsal>Rehearsal. Nothing was decided here.</p>"
    else:
        yield "<h1>Record of a meeting's votes</h1>"
    yield f'<section class="verdict {report.verdict}"><h2>{VERDICTS[report.verdict]}</h2>'
    if report.detail:
        yield f"<p>{_t(report.detail)}</p>"
    for check in report.checks:
        if check.ok is False:
            yield f"<p>{check.id}: {escape(check.title)}{_detail(check)}</p>"
    yield f"<p>{_coverage(report)}</p></section>"
    if report.context is not None:
        key = escape(report.context.bundle.info["server_key"])
        yield f"<p>Server key: <code>{key}</code>. Compare it with the one that the organisation publishes.</p>"


def _coverage(report: Report) -> str:
    passed = sum(check.ok is True for check in report.checks)
    said = f"{passed} of {len(report.checks)} checks passed."
    if report.verdict == "ok" and (report.context is None or report.context.annex is None):
        said += " The auditors' annex was not given, so it was not checked that each ballot belongs to a member."
    elif report.verdict == "ok":
        said += " With the auditors' annex, each ballot was traced to a passkey of a member on the roll."
    if report.verdict == "ok" and report.context is not None and not report.context.bundle.marks:
        said += " The record holds no attendance log, so the number present was not checked."
    return said


def _detail(check: Check) -> str:
    return f" \u2013 {_t(check.detail)}" if check.detail else ""


def _elections(report: Report) -> Iterator[str]:
    if report.context is None or not report.passed("V02"):
        return
    if report.verdict != "ok":
        yield f"<p class=unsure>{_UNSURE}</p>"
    for election in report.context.elections.values():
        yield from _election(election, report.context.at_closing(election.manifest.election))


def _questions(election: Election) -> Iterator[tuple[JsonObject, list[int], JsonObject]]:
    """Return (question, counts, outcome) as far as the tally has them."""
    core = election.core
    for index, question in enumerate(election.manifest.json["questions"]):
        counts = core["counts"][index] if index < len(core["counts"]) else []
        found = core["outcome"][index] if index < len(core["outcome"]) else None
        if found is not None and _fits(question, counts, found):
            yield question, counts, found


def _fits(question: JsonObject, counts: list[int], found: JsonObject) -> bool:
    """Say whether a tally that may be wrong can be put in words."""
    options = len(question["options"])
    places = [*found["options"], *found["tied"]]
    known = found["kind"] in ("too-few", "no-quorum", "carried", "rejected", "elected", "none")
    enough = not counts or len(counts) >= options + int(question["blank"])
    return known and enough and len(found["votes"]) in (0, options) and all(place < options for place in places)


def _election(election: Election, closing: JsonObject | None) -> Iterator[str]:
    manifest, core = election.manifest.json, election.core
    yield f"<section class=election><h2>{_t(manifest['title'])}</h2>"
    if manifest["rehearsal"]:
        yield "<p class=rehearsal>Rehearsal</p>"
    opened, counted = words.moment(manifest["opened_at"]), words.moment(core["counted_at"])
    yield f"<p>{words.secrecy(manifest)}. Opened {opened}, counted {counted}.</p>"
    for question, counts, found in _questions(election):
        yield from _question(question, counts, found)
    yield f"<p class=rule>{escape(' '.join(words.rule(manifest)))}</p>"
    turnout = words.turnout(manifest, core, closing)
    yield _table("Turnout", ((label, escape(value)) for label, value in turnout))
    remarks = words.remarks(manifest, core)
    if remarks:
        yield "<ul class=remarks>" + "".join(f"<li>{escape(one)}</li>" for one in remarks) + "</ul>"
    yield "</section>"


def _question(question: JsonObject, counts: list[int], found: JsonObject) -> Iterator[str]:
    yield f"<h3>{_t(question['text'])}</h3><p class=kind>{escape(words.question_kind(question))}</p>"
    said = escape(words.outcome(question, found))
    if found["kind"] == "elected":
        said += ": " + ", ".join(_t(words.option(question, index)) for index in found["options"])
    if found["tied"]:
        said += "; tied: " + ", ".join(_t(words.option(question, index)) for index in found["tied"])
    yield f'<p class="outcome {escape(found["kind"])}">{said}</p>'
    rows = words.votes(question, counts, found)
    if rows:
        yield _table(words.unit(question), ((label, words.number(total)) for label, total in rows), texts=True)


def _table(caption: str, rows: Iterable[tuple[str, str]], *, texts: bool = False) -> str:
    """Return a table of two columns; with `texts` the first holds texts of the record."""
    show = _t if texts else escape
    cells = "".join(f"<tr><th scope=row>{show(label)}</th><td>{value}</td></tr>" for label, value in rows)
    return f"<table><caption>{escape(caption)}</caption>{cells}</table>"


def _people(report: Report) -> Iterator[str]:
    """What the annex names: exceptions with method and officers."""
    context = report.context
    if context is None or context.annex is None or not report.passed("V23"):
        return
    found = [one for one in context.items("roll") if one["exception"]["kind"] != "none"]
    yield "<section><h2>Exceptions on the roll</h2>"
    if not found:
        yield "<p>None: every passkey on the roll was in the organisation's roll before.</p></section>"
        return
    yield (
        "<p>These members' passkeys came into the roll anew. The names are from the auditors' annex, which is "
        "confidential: do not publish this page.</p>"
    )
    head = "".join(f"<th scope=col>{one}</th>" for one in ("Member", "What", "How they were known", "Officers"))
    rows = ""
    for one in found:
        exception = one["exception"]
        officers = ", ".join(_t(name) for name in exception["officers"])
        kind = escape(words.EXCEPTIONS.get(exception["kind"], exception["kind"]))
        method = _t(exception["method"]) if exception["method"] else ""
        member = f"{_t(one['name'])} ({_t(one['member'])})"
        rows += "<tr>" + "".join(f"<td>{cell}</td>" for cell in (member, kind, method, officers)) + "</tr>"
    yield f"<div class=wide><table class=exceptions><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    yield "</section>"


def _checks(report: Report) -> Iterator[str]:
    marks = {True: ("passed", "passed"), False: ("failed", "FAILED"), None: ("null", "not checked")}
    yield "<section><h2>What was checked</h2>"
    if report.context is not None and report.passed("V31"):
        gone = [str(one["trustee"]) for one in report.context.bundle.destroyed["statements"]]
        said = f"Tellers {', '.join(gone)} have stated that their shares are deleted." if gone else ""
        yield f"<p>{said}</p>" if said else ""
    head = "".join(f"<th scope=col>{one}</th>" for one in ("Check", "What", "Verdict"))
    yield f"<table class=checks><thead><tr>{head}</tr></thead><tbody>"
    for check in report.checks:
        kind, word = marks[check.ok]
        detail = f"<br><small>{_t(check.detail)}</small>" if check.detail else ""
        title = escape(check.title)
        yield f"<tr class={kind}><th scope=row>{check.id}</th><td>{title}{detail}</td><td>{word}</td></tr>"
    yield "</tbody></table></section>"


def _not_shown() -> Iterator[str]:
    yield "<section><h2>What this does not show</h2><ul>"
    yield from (f"<li>{escape(one)}</li>" for one in words.NOT_SHOWN)
    yield f"</ul><p>{escape(words.TRACKERS)}</p></section>"
