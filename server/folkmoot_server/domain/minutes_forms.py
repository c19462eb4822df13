"""Minutes as plain text and as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Final

from folkmoot_server.domain.minutes import Cites, Minutes, Sentence
from folkmoot_server.domain.minutes_words import Words

WIDTH_RULE: Final = "="
_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,'Noto Sans',sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#111;"
    "background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}li{margin:.3rem 0}"
    "small{color:#555;white-space:nowrap}@media print{body{margin:0}}"
)


def _cites(words: Words, events: Cites) -> str:
    return words.say("cites", n=len(events), numbers=", ".join(map(str, events)))


def as_text(minutes: Minutes, words: Words) -> str:
    """Return the minutes as plain text with line feeds."""
    lines = [minutes.title, WIDTH_RULE * len(minutes.title), ""]
    for section in minutes.sections:
        lines += [section.heading, "-" * len(section.heading)]
        lines += [f"{one.text} [{_cites(words, one.events)}]" for one in section.sentences]
        lines.append("")
    lines += [words.say("draft-note"), ""]
    return "\n".join(lines)


def as_html(minutes: Minutes, words: Words) -> str:
    """Return the minutes as an HTML document."""
    title = escape(minutes.title)
    parts = [
        f'<!doctype html>\n<html lang="{minutes.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{escape(words.say('draft-note'))}</p>\n"
    ]
    for section in minutes.sections:
        parts.append(f"<h2>{escape(section.heading)}</h2>\n")
        if section.sentences:
            items = "".join(f"<li>{_item(one, words)}</li>\n" for one in section.sentences)
            parts.append(f"<ul>\n{items}</ul>\n")
    parts.append("</body>\n</html>\n")
    return "".join(parts)


def _item(sentence: Sentence, words: Words) -> str:
    return f"{escape(sentence.text)} <small>[{escape(_cites(words, sentence.events))}]</small>"
