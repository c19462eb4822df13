"""Plain words for what a verified record says: rules, turnout, outcomes. Texts of the record are left as they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from .encoding import JsonObject

LATEST = 253_402_300_799

SECRECY = {
    "trustees": "Secret vote",
    "open": "Open vote: every ballot is public under a key without a name",
    "roll-call": "Roll-call vote: every member's choice is public by name",
}
TYPES = {
    "yes-no-abstain": "Yes, no or abstain",
    "one-of-n": "One of the options",
    "m-of-n": "Several options",
    "multi-seat": "Election to several seats",
    "approval": "Any number of options",
    "score": "Points for each option",
    "borda": "Options in order of preference",
}
EXCEPTIONS = {"first": "first passkey", "replaced": "lost passkeys replaced", "added": "passkey added by the member"}
OPTIONS = {"yes": "Yes", "no": "No", "abstain": "Abstain"}
NOT_SHOWN = (
    "that nobody was coerced, paid or watched while voting",
    "that voters' devices were free of malware, beyond the ballots that voters audited on a second device",
    "that the pages which voters were served were the published ones (their digest is published to be compared)",
    "that sealed ballots stay sealed against a future quantum computer, or against as many tellers as can open the "
    "box acting together",
    "when members left the meeting: departures are the server's statement",
    "that no copy of a destroyed share was kept: that is the teller's word",
    "choices that the result itself tells, as in a unanimous vote",
)
TRACKERS = (
    "Trackers are not listed here. A voter finds their own ballot with the tracker on their own device; nobody else "
    "can learn from this record how anybody voted in a secret vote."
)


def moment(seconds: int) -> str:
    """Return a time as text in UTC; times beyond the year 9999 stay numbers."""
    if seconds > LATEST:
        return f"{seconds} s"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def number(value: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def rule(manifest: JsonObject) -> list[str]:
    """Return the sentences that say how the vote is decided."""
    rules = manifest["rules"]
    quorum, majority = rules["quorum"], rules["majority"]
    who = "who voted" if quorum["by"] == "cast" else "present"
    unit = "the votes of the roll" if quorum["in"] == "votes" else "the members of the roll"
    said = [
        f"Quorum: {quorum['num']}/{quorum['den']} of {unit}, counting those {who}."
        if quorum["num"]
        else "No quorum is asked for."
    ]
    base = {
        "cast": "the votes cast",
        "decided": "the votes cast without abstentions and blank votes",
        "present": "the votes of those present",
        "roll": "the votes of the whole roll",
    }[majority["of"]]
    said.append(
        {
            "simple": "Majority: more votes than the others.",
            "absolute": f"Majority: more than half of {base}.",
            "two-thirds": f"Majority: at least two thirds of {base}.",
            "three-quarters": f"Majority: at least three quarters of {base}.",
        }[majority["kind"]]
    )
    tie = rules["tie"] == "casting-vote"
    said.append("A tie is decided by the chair's casting vote." if tie else "A tie carries and elects nothing.")
    return said


def question_kind(question: JsonObject) -> str:
    """Return what a ballot could say to a question."""
    said = TYPES[question["type"]]
    if question["type"] in ("m-of-n", "multi-seat"):
        said += f", {question['min']} to {question['max']} of them"
    if question["type"] == "score":
        said += f", 0 to {question['score']} each"
    if question["type"] == "borda":
        said += f", the best {question['ranks']}"
    if question["blank"]:
        said += ", or a blank vote"
    if question["seats"] > 1:
        said += f"; {question['seats']} seats"
    return said


def option(question: JsonObject, index: int) -> str:
    """Return the text of an option as it is shown."""
    text = str(question["options"][index])
    return OPTIONS.get(text, text) if question["type"] == "yes-no-abstain" else text


def outcome(question: JsonObject, found: JsonObject) -> str:
    """Return the outcome of a question in a few words, without the options' texts."""
    words = {
        "too-few": "Not counted: fewer than three voted, and counts would show who chose what",
        "no-quorum": "No quorum",
        "carried": "Carried",
        "rejected": "Rejected",
        "elected": "Chosen" if question["type"] != "multi-seat" else "Elected",
        "none": "Nothing reached the majority" if not found["tied"] else "Undecided by a tie",
    }
    said = words[found["kind"]]
    return f"{said} by the chair's casting vote" if found["tied"] and found["kind"] == "carried" else said


def votes(question: JsonObject, counts: Sequence[int], found: JsonObject) -> list[tuple[str, int]]:
    """Return (option, votes) of a question, and the blank votes where there are any."""
    rows = [(option(question, index), total) for index, total in enumerate(found["votes"])]
    if not rows and counts and question["type"] != "borda":
        rows = [(option(question, index), counts[index]) for index in range(len(question["options"]))]
    if question["blank"] and counts:
        rows.append(("Blank", counts[len(question["options"])]))
    return rows


def unit(question: JsonObject) -> str:
    """Return what the votes of a question are counted in."""
    return "Points" if question["type"] in ("score", "borda") else "Votes"


def turnout(manifest: JsonObject, core: JsonObject, closing: JsonObject | None) -> list[tuple[str, str]]:
    """Return what stands beside an election: who could vote, who did, and what was unusual.

    `closing` is what a record with an attendance log says of the closing.
    """
    weighted = manifest["roll_weight"] != manifest["roll_size"]
    rows = [
        ("On the roll", _with(manifest["roll_size"], manifest["roll_weight"], weighted)),
        ("Present at opening", _with(manifest["present"], manifest["present_weight"], weighted)),
        *_present_at_closing(manifest, closing, weighted),
        ("Could vote", _with(manifest["electorate_size"], manifest["electorate_weight"], weighted)),
        ("Voted", _with(core["cast"], core["cast_weight"], weighted)),
    ]
    if core["ballots"] != core["cast"]:
        rows.append(("Ballots, of which each voter's last counts", number(core["ballots"])))
    asked = manifest["rules"]["quorum"]["num"]
    if asked:
        quorum = core["quorum"]
        met = "met" if quorum["met"] else "not met"
        rows.append(("Quorum", f"{met}: {number(quorum['count'])} of {number(quorum['base'])}"))
    unusual = (
        ("Left out for a conflict of interest", manifest["excluded"]),
        ("Exceptions on the roll", manifest["exceptions"]),
        ("Devices replaced while voting", core["replacements"]),
        ("of these at a kiosk", core["kiosk"]),
        ("Ballots audited by voters, not counted", core["voids"]),
    )
    rows += [(label, number(value)) for label, value in unusual if value or label == "Exceptions on the roll"]
    return rows


def _present_at_closing(manifest: JsonObject, closing: JsonObject | None, weighted: bool) -> list[tuple[str, str]]:
    if closing is None:
        return []
    said = _with(closing["present"], closing["present_weight"], weighted)
    if manifest["rules"]["quorum"]["num"]:
        said += ", enough for the quorum" if closing["met"] else ", too few for the quorum"
    return [("Present at closing", said)]


def _with(members: int, weight: int, weighted: bool) -> str:
    return f"{number(members)} ({number(weight)} votes)" if weighted else number(members)


def secrecy(manifest: JsonObject) -> str:
    """Return who could open the box."""
    said = SECRECY[manifest["secrecy"]]
    if manifest["secrecy"] == "trustees":
        trustees = manifest["trustees"]
        said += f": the box could be opened by any {trustees['threshold']} of {trustees['count']} tellers together"
    return said


def _hall(name: str, late: int) -> str:
    if not late:
        return f"The hall {name} was cut off when voting ended, the server says."
    many = "1 ballot" if late == 1 else f"{number(late)} ballots"
    return f"The hall {name} was cut off when voting ended; {many} came too late, the server says, and did not count."


def remarks(manifest: JsonObject, core: JsonObject) -> list[str]:
    """Return what a reader should be warned of."""
    said = []
    tellers = [one["trustee"] for one in core["rejected"]]
    said += [f"A wrong share of teller {one} was refused and is kept as evidence." for one in tellers]
    said += [_hall(one["name"] or one["site"], one["ballots"]) for one in core["halls"]]
    if manifest["repeats"]:
        names = ", ".join(manifest["repeats"])
        said.append(
            f"This vote repeats an earlier one ({names}) with only a few voters more or less. The two results side "
            "by side can tell how those few voted."
        )
    if manifest["kiosk"]:
        said.append("Kiosks were allowed. Who votes at one trusts it as a polling machine, for secrecy and intent.")
    if manifest["voting_again"] == "last-counts":
        said.append("Voters could vote again; each voter's last ballot counts.")
    return said
