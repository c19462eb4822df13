"""Writes ``docs/spec/meeting_states.md``: the states of a meeting as a picture and a table, from the code's table."""

from pathlib import Path

from folkmoot_server.domain.meetings import FINAL, NEXT, Act, State

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "spec" / "meeting_states.md"
_HEAD = """# States of a meeting

Made from `NEXT` in `server/folkmoot_server/domain/meetings.py` by `python tools/gen_meeting_states.py`; do not edit.
`lose-quorum` and `regain-quorum` happen by themselves where the quorum is binding.

"""


def _name(state: State) -> str:
    return state.value.replace("-", "_")


def picture() -> str:
    """Return the moves from state to state as a mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(State.DRAFT)}"]
    lines += [f'    state "{state.value}" as {_name(state)}' for state in State if _name(state) != state.value]
    moves = [(state, act, NEXT[state, act]) for state in State for act in Act if (state, act) in NEXT]
    lines += [
        f"    {_name(state)} --> {_name(after)}: {act.value}" for state, act, after in moves if after is not state
    ]
    lines += [f"    {_name(state)} --> [*]" for state in FINAL]
    return "\n".join([*lines, "```"])


def table() -> str:
    """Return what may be done in which state without leaving it."""
    lines = ["| state | what may be done without leaving it |", "|---|---|"]
    for state in State:
        acts = [act.value for act in Act if NEXT.get((state, act)) is state]
        lines.append(f"| {state.value} | {', '.join(acts) or '–'} |")
    return "\n".join(lines)


def document() -> str:
    """Return the whole document."""
    return f"{_HEAD}{picture()}\n\n{table()}\n"


def main() -> None:
    """Write the document."""
    TARGET.write_text(document())
    print(f"wrote {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
