"""The style of the HTML report; logical directions only, legible in print and on a phone."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light; --line: #c9ced6; --ink: #17202b; --soft: #f3f5f8; --good: #0b6b3a; --bad: #b00020; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 1rem/1.5 system-ui, "Noto Sans", sans-serif; }
main { max-inline-size: 52rem; margin-inline: auto; padding: 1.5rem 1rem 4rem; overflow-wrap: break-word; }
bdi, code { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .25rem; }
p { margin: .4rem 0; }
.organisation { color: #4a5563; }
.verdict { border: 1px solid var(--line); border-inline-start: .5rem solid #6b7280; background: var(--soft);
  padding: .75rem 1rem; margin-block: 1rem; }
.verdict h2 { margin: 0 0 .25rem; }
.verdict.ok { border-inline-start-color: var(--good); }
.verdict.ok h2 { color: var(--good); }
.verdict.failed { border-inline-start-color: var(--bad); }
.verdict.failed h2, .verdict.unreadable h2 { color: var(--bad); }
.rehearsal, .unsure { color: #fff; background: var(--bad); font-weight: 700; padding: .4rem .75rem; }
.election { border-block-start: 2px solid var(--ink); margin-block-start: 2rem; }
.election h2 { margin-block-start: 1rem; }
.kind, .rule { color: #4a5563; }
.outcome { font-size: 1.1rem; font-weight: 700; margin-block: .5rem; }
main.ok .outcome.carried, main.ok .outcome.elected { color: var(--good); }
table { border-collapse: collapse; inline-size: 100%; margin-block: .75rem; break-inside: avoid; }
caption { text-align: start; font-weight: 700; padding-block-end: .25rem; }
th, td { text-align: start; vertical-align: top; padding: .3rem .5rem; border-block-end: 1px solid var(--line); }
th[scope=row] { font-weight: 400; }
.election td { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; inline-size: 1%; }
.checks { break-inside: auto; }
.checks tr { break-inside: avoid; }
.checks th { white-space: nowrap; font-variant-numeric: tabular-nums; }
.checks td:last-child { white-space: nowrap; }
.checks .passed td:last-child { color: var(--good); }
.checks .failed { background: #fdecee; }
.checks .failed td:last-child { color: var(--bad); font-weight: 700; }
.checks .null { color: #4a5563; }
.wide { overflow-x: auto; }
code { font-size: .9em; }
@media print { main { max-inline-size: none; padding: 0; } .rehearsal, .unsure { border: 2px solid; }
  body { font-size: 10.5pt; } section { break-inside: auto; } h2, h3 { break-after: avoid; } }
"""
