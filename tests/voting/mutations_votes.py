"""Spoiled boards, ballots, boxes and tallies: each with the check that must be the first to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.voting import forging as f
from tests.voting import forging_people as p
from tests.voting.record import Record
from tests.voting.spoiling import AT, BOARD, FOLDER, Files, Spoil, again, drop, edit, flip, full, hold, put, swap
from tests.voting.votes import EVERY_TYPE, Choices, Vote

from folkmoot_voting import group
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Rules
from folkmoot_voting.questions import Question

Mutation = tuple[str, Callable[[], Record], str]

TIE = Rules(1, 2, "simple", "cast", tie="casting-vote")
LATE = {"site": "hall-1", "name": "Hall", "state": "late", "ballots": 1}
NOTHING = {"kind": "rejected", "options": [], "tied": [], "votes": []}
WHOLE = Rules(1, 1, "simple", "cast", "cast")
NO_POINT = b"\x01" + bytes(31)
BEYOND = group.ORDER.to_bytes(32, "little")

# For each type a choice whose cells are in range and whose sums are not, as far as there are sums.
TOO_MUCH: dict[str, list[Choices]] = {
    "yes-no-abstain": [[[1, 1, 0]], [[0, 0, 0]]],
    "one-of-n": [[[1, 1, 1]], [[0, 0, 0]]],
    "m-of-n": [[[1, 1, 1, 1, 0]], [[1, 0, 0, 0, 1]], [[0, 0, 0, 0, 0]]],
    "multi-seat": [[[1, 1, 1, 0, 0]], [[0, 1, 0, 0, 1]]],
    "borda": [[[1, 1, 0, 0, 0, 0]], [[1, 0, 1, 0, 0, 1]], [[0, 1, 0, 0, 0, 0]]],
}
# For each type a choice with a cell beyond its range.
BEYOND_RANGE: dict[str, Choices] = {
    "yes-no-abstain": [[2, 0, 0]],
    "one-of-n": [[0, 0, 2]],
    "m-of-n": [[0, 2, 0, 0, 0]],
    "multi-seat": [[2, 0, 0, 0, 0]],
    "approval": [[1, 0, 2]],
    "score": [[5, 0]],
    "borda": [[2, 0, 0, 0, 0, 0]],
}


def by_type(question: Question) -> Iterator[Mutation]:
    """Yield what can be wrong with ballots and counts of one type."""
    kind = question.type
    wrong = [
        ("identity as commitment", f.bend(64, lambda _: bytes(32)), "V12"),
        ("point that is none", f.bend(96, lambda _: NO_POINT), "V12"),
        ("identity as ciphertext", f.bend(0, lambda _: bytes(32)), "V12"),
        ("scalar beyond the order", f.bend(f.split_at(question), lambda _: BEYOND), "V12"),
        ("last scalar beyond the order", f.bend(-32, lambda _: BEYOND), "V12"),
        ("answer too short", f.with_fields(choices=[b64u(bytes(64))]), "V12"),
        ("split of the challenge", f.bend(f.split_at(question), f.plus_one), "V13"),
        ("response of a cell", f.bend(f.response_at(question), f.plus_one), "V13"),
        ("another ciphertext", f.bend(0, lambda _: group.BASE), "V13"),
        ("cell beyond its range", f.forbidden(BEYOND_RANGE[kind]), "V13"),
        ("same randomness", f.twins(question), "V15"),
        ("other counts", f.core(counts=lambda rows: [[rows[0][0] + 1, *rows[0][1:]]]), "V20"),
        ("other votes in the outcome", f.core(outcome=_other_votes), "V21"),
        ("other outcome", f.core(outcome=_other_kind), "V21"),
    ]
    yield from ((f"{kind}: {name}", hold(question, spoil=spoil), check) for name, spoil, check in wrong)
    if question.constraints:
        yield f"{kind}: response of a sum", hold(question, spoil=f.bend(-32, f.plus_one)), "V14"
    for number, choices in enumerate(TOO_MUCH.get(kind, ())):
        yield f"{kind}: sum beyond its range {number}", hold(question, spoil=f.forbidden(choices)), "V14"
    plain: dict[str, Any] = {"secrecy": "open", "least_electorate": 1}
    yield f"{kind}: plain value beyond its range", hold(question, spoil=_plain(BEYOND_RANGE[kind]), **plain), "V12"
    for number, choices in enumerate(TOO_MUCH.get(kind, ())):
        yield f"{kind}: plain sum beyond its range {number}", hold(question, spoil=_plain(choices), **plain), "V14"
    counts = f.core(counts=lambda rows: [[*rows[0][:-1], rows[0][-1] + 1]])
    yield f"{kind}: other plain counts", hold(question, spoil=counts, **plain), "V20"


def _other_votes(outcome: list[dict[str, list[int]]]) -> list[dict[str, list[int]]]:
    return [{**outcome[0], "votes": [outcome[0]["votes"][0] + 1, *outcome[0]["votes"][1:]]}]


def _other_kind(outcome: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{**outcome[0], "kind": "no-quorum"}]


def _plain(choices: Choices) -> Callable[[Vote], Spoil]:
    return f.with_fields(choices=[b64u(bytes(cells)) for cells in choices])


def _moved_evidence(files: Files, _annex: JsonObject) -> None:
    files["elections/open/rejected.jsonl"] = files["elections/all-types/rejected.jsonl"]


LAST: dict[str, Any] = {"voting_again": "last-counts"}
BOARDS: list[Mutation] = [
    ("dropped ballot", edit(drop(f"{BOARD}|2")), "V08"),
    ("swapped ballots", edit(swap(BOARD, 1, 2)), "V08"),
    ("changed ballot", edit(put(f"{BOARD}|1|ballot|sig", flip)), "V08"),
    ("changed replacement", edit(put("elections/all-types/board.jsonl|9|statement", flip), full), "V08"),
    ("ballot after closing", edit(lambda files, _: files[BOARD].insert(7, files[BOARD][1])), "V08"),
    ("second opening", edit(lambda files, _: files[BOARD].insert(1, files[BOARD][0])), "V08"),
    ("second closing", edit(lambda files, _: files[BOARD].insert(7, files[BOARD][6])), "V08"),
    ("board without its tally", edit(drop(f"{BOARD}|11")), "V08"),
    ("intent after the tally", edit(lambda files, _: files[BOARD].append(files[BOARD][7])), "V08"),
    ("final checkpoint signed by another key", edit(p.resigned_by_other(FOLDER + "final.txt")), "V08"),
    ("opening checkpoint signed by another key", edit(p.resigned_by_other(FOLDER + "opening.txt")), "V08"),
    ("final checkpoint is the closing one", edit(put(FOLDER + "final.txt", "")), "V08"),
    ("elector dropped from the list", edit(drop(f"{FOLDER}electorate.json|3")), "V09"),
    ("elector with more weight", edit(put(f"{FOLDER}electorate.json|3|weight", 2)), "V09"),
    ("electorate unsorted", hold(opened=f.relist(list.reverse)), "V09"),
    ("elector listed twice", hold(opened=f.relist(lambda listed: listed[1].update(listed[0]))), "V09"),
    ("elector of weight 0", hold(opened=f.relist(lambda listed: listed[1].update(weight=0))), "V09"),
    ("names in a secret vote", hold(opened=f.relist(lambda listed: listed[1].update(name="An"))), "V09"),
    ("a roll-call without names",
     hold(opened=f.relist(lambda listed: listed[1].update(name="")), secrecy="roll-call"), "V09"),
    ("a weight of three electors where four are needed",
     hold(meeting=f.weighted, opened=lambda vote: f.remake(vote, least_electorate=4), least_electorate=3), "V09"),
    ("other size of the electorate", hold(opened=lambda vote: f.remake(vote, electorate_size=5)), "V09"),
    ("other weight of the electorate", hold(opened=lambda vote: f.remake(vote, electorate_weight=5)), "V09"),
    ("repeat not named",
     hold(meeting=f.after_a_vote(["m-006"]), opened=lambda vote: f.remake(vote, repeats=[])), "V09"),
    ("repeat of an unlike vote",
     hold(meeting=f.after_a_vote(), opened=lambda vote: f.remake(vote, repeats=["vote-0"])), "V09"),
    ("repeat of itself", hold(opened=lambda vote: f.remake(vote, repeats=["vote-1"])), "V09"),
    ("ballot of another vote", hold(spoil=f.with_fields(manifest=b64u(bytes(32)))), "V10"),
    ("weight 2", hold(spoil=f.with_fields(weight=2)), "V10"),
    ("weight of another member", hold(meeting=f.weighted, spoil=f.with_fields(weight=3), least_electorate=3), "V10"),
    ("seq 2", hold(spoil=f.with_fields(seq=2)), "V10"),
    ("prev of nothing", hold(spoil=f.with_fields(prev=b64u(bytes(32)))), "V10"),
    ("vote stuffed", hold(spoil=f.on_board(f.stuffed)), "V10"),
    ("voted twice", hold(spoil=f.on_board(f.twice)), "V10"),
    ("second ballot forgets the first", hold(spoil=f.on_board(f.forgotten), **LAST), "V10"),
    ("ballots in another order", hold(spoil=f.on_board(f.newer_first), **LAST), "V10"),
    ("replacement of nobody", hold(spoil=f.on_board(f.replaced(6, -1))), "V10"),
    ("replacement by a known credential", hold(spoil=f.on_board(f.replaced(5, 0))), "V10"),
    ("kiosk where there is none", hold(spoil=f.on_board(f.replaced(5, -1, kiosk=True))), "V10"),
    ("replacement after the one vote", hold(spoil=f.on_board(f.replaced(0, -1))), "V10"),
    ("replaced phone votes", hold(spoil=f.on_board(f.replaced_votes)), "V10"),
    ("void by nobody", hold(spoil=f.on_board(f.void_with(credential=flip))), "V10"),
    ("another voter's signature", hold(spoil=f.on_board(f.foreign_signature)), "V11"),
    ("another voter's plain signature", hold(spoil=f.on_board(f.foreign_signature), secrecy="open"), "V11"),
    ("two answers to one question", hold(spoil=f.with_fields(choices=["AAAA", "AAAA"])), "V12"),
    ("audited ballot is cast", hold(act=f.accepted(f.audited_is_cast)), "V29"),
    ("cast ballot is audited", hold(act=f.accepted(f.cast_is_audited), **LAST), "V29"),
    ("six audits", hold(act=f.accepted(f.voids(6))), "V29"),
    ("one ballot void twice", hold(act=f.accepted(f.void_twice)), "V29"),
    ("void unsigned", hold(act=f.accepted(f.void_with(sig=flip))), "V29"),
    ("void of another ballot", hold(act=f.accepted(f.void_with(sealed=flip))), "V29"),
]  # fmt: skip

CLOSING: list[Mutation] = [
    ("closing miscounts ballots", hold(spoil=f.numbers(ballots=4)), "V16"),
    ("closing miscounts voters", hold(spoil=f.numbers(cast=4)), "V16"),
    ("closed within the grace", hold(spoil=f.numbers(at=lambda at: at - 1)), "V16"),
    ("ended before closes_at", hold(spoil=f.numbers(ended=AT + 299), closes_at=AT + 300), "V16"),
    ("one cosignature too few", hold(spoil=f.at_stage("closing", f.fewer_cosigners)), "V16"),
    ("one cosigner twice", hold(spoil=f.at_stage("closing", f.repeated_cosigner)), "V16"),
    ("time of a cosignature", hold(spoil=f.at_stage("closing", f.late_cosigner)), "V16"),
    ("intent for another aggregate", hold(spoil=f.box(f.intent_for(aggregate=bytes(32)))), "V17"),
    ("intent for another closing", hold(spoil=f.box(f.intent_for(closing=bytes(32)))), "V17"),
    ("intent for another vote", hold(spoil=f.box(f.intent_for(manifest=bytes(32)))), "V17"),
    ("share before its intent", hold(spoil=f.box(f.order(1, 0, 2, 3))), "V17"),
    ("share without an intent", hold(spoil=f.box(f.order(1, 2, 3))), "V17"),
    ("unsigned intent", hold(spoil=f.box(f.signed_by_other(0, 2))), "V17"),
    ("second intent of a trustee", hold(spoil=f.box(f.order(0, 1, 2, 3, 0))), "V17"),
    ("eleven intents of a trustee", hold(spoil=f.box(f.order(0, 1, 2, 3, *[0] * 10))), "V17"),
    ("intent though too few", hold(spoil=f.box(f.uninvited_intent), voters=2), "V17"),
    ("intent in an open vote", hold(spoil=f.box(f.uninvited_intent), secrecy="open"), "V17"),
    ("share though too few", hold(spoil=f.box(f.uninvited_share), voters=2), "V17"),
    ("second share of a trustee", hold(spoil=f.box(f.order(0, 1, 2, 3, 1))), "V18"),
    ("unsigned share", hold(spoil=f.box(f.signed_by_other(1, 3))), "V18"),
    ("share for another aggregate", hold(spoil=f.box(f.foreign_share)), "V18"),
    ("wrong decryption factor", hold(spoil=f.box(f.share_with("d", f.other_point))), "V19"),
    ("wrong response of a share", hold(spoil=f.box(f.share_with("z", f.more))), "V19"),
    ("wrong commitment of a share", hold(spoil=f.box(f.share_with("u", f.other_point))), "V19"),
    ("scalar of a share beyond the order", hold(spoil=f.box(f.share_with("z", lambda _: b64u(BEYOND)))), "V19"),
    ("point of a share that is none", hold(spoil=f.box(f.share_with("w", lambda _: b64u(NO_POINT)))), "V19"),
    ("part missing from a share", hold(spoil=f.box(f.short_share)), "V19"),
    ("one share too few", hold(spoil=f.box(f.order(0, 1, 2))), "V20"),
    ("counts though too few", hold(spoil=f.core(counts=[[1, 1, 0]]), voters=2), "V20"),
    ("outcome though too few",
     hold(spoil=f.core(outcome=[NOTHING]), voters=2), "V21"),
    ("other presence", hold(spoil=f.core(quorum={"met": True, "count": 7, "base": 7})), "V21"),
    ("quorum met though it is not",
     hold(spoil=f.core(quorum={"met": True, "count": 5, "base": 7}), rules=WHOLE), "V21"),
    ("tie decided by nobody", hold(spoil=f.box(f.castings()), rules=TIE, finish={"castings": {0: [0]}}), "V21"),
    ("tie decided by the secretary",
     hold(spoil=f.box(f.castings([0], by=1)), rules=TIE, finish={"castings": {0: [0]}}), "V21"),
    ("tie decided twice", hold(spoil=f.box(f.castings([0], [0])), rules=TIE, finish={"castings": {0: [0]}}), "V21"),
    ("tie decided for abstain", hold(spoil=f.box(f.castings([2])), rules=TIE, finish={"castings": {0: [0]}}), "V21"),
    ("tie decided the other way",
     hold(spoil=f.box(f.castings([1])), rules=TIE, finish={"castings": {0: [0]}}), "V21"),
    ("casting vote where a tie rejects", hold(spoil=f.box(f.castings([0]))), "V21"),
]  # fmt: skip

TALLY: list[Mutation] = [
    *(
        (f"tally says another {name}", hold(spoil=f.core(**{name: value})), "V22")
        for name, value in (
            ("election", "vote-2"), ("manifest", b64u(bytes(32))), ("closing", b64u(bytes(32))),
            ("aggregate", b64u(bytes(32))), ("ballots", 4), ("cast", 6), ("cast_weight", 6), ("replacements", 1),
            ("kiosk", 1), ("voids", 1), ("exceptions", 0),
        )
    ),
    ("halls out of order", hold(spoil=f.core(halls=[LATE, {**LATE, "site": "a"}])), "V22"),
    ("a hall twice", hold(spoil=f.core(halls=[LATE, LATE])), "V22"),
    ("a late hall without ballots", hold(spoil=f.core(halls=[{**LATE, "ballots": 0}])), "V22"),
    ("an unreachable hall with ballots", hold(spoil=f.core(halls=[{**LATE, "state": "unreachable"}])), "V22"),
    ("a hall in another state", hold(spoil=f.core(halls=[{**LATE, "state": "lost"}])), "V22"),
    ("a hall without a name", hold(spoil=f.core(halls=[{**LATE, "site": ""}])), "V01"),
    ("a hall with another field", hold(spoil=f.core(halls=[{**LATE, "at": AT}])), "V01"),
    ("halls that are no list", hold(spoil=f.core(halls={})), "V01"),
    ("a hall renamed after signing",
     edit(put("elections/all-types/tally.json|core|halls|0|name", lambda _: "Other"), full), "V04"),
    ("counted before closing", hold(spoil=f.core(counted_at=AT + 59)), "V22"),
    ("counted after the limit", hold(spoil=f.core(counted_at=AT + 86_401)), "V22"),
    ("ended before it was opened", hold(spoil=f.numbers(ended=AT - 1)), "V22"),
    ("board records another tally", hold(spoil=f.at_stage("hash", lambda _: bytes(32))), "V22"),
    ("aggregate in an open vote", hold(spoil=f.core(aggregate=b64u(bytes(32))), secrecy="open"), "V22"),
    ("aggregate though too few", hold(spoil=f.core(aggregate=b64u(bytes(32))), voters=2), "V22"),
    ("server did not sign", hold(spoil=f.tally_without("server")), "V22"),
    ("chair did not sign", hold(spoil=f.tally_without("chair")), "V22"),
    ("trustee did not sign", hold(spoil=f.tally_without("trustee")), "V22"),
    ("one trustee's signature missing", hold(spoil=f.tally_without("one trustee")), "V22"),
    ("one trustee signed twice", hold(spoil=f.signed_by(2, 2)), "V22"),
    ("trustees signed descending", hold(spoil=f.signed_by(3, 2)), "V22"),
    ("a trustee who is none signed", hold(spoil=f.signed_by(2, 3, 4)), "V22"),
    ("trustees signed an open vote", hold(spoil=f.signed_by(1, 2), secrecy="open"), "V22"),
    ("trustees signed though too few", hold(spoil=f.signed_by(1, 2), voters=2), "V22"),
    ("the tally names trustees", hold(spoil=f.core(trustees=[2, 3])), "V01"),
    ("evidence dropped", edit(drop("elections/all-types/rejected.jsonl|0"), full), "V30"),
    ("evidence unsigned", edit(put("elections/all-types/rejected.jsonl|0|sig", flip), full), "V30"),
    ("evidence twice",
     edit(again("elections/all-types/rejected.jsonl", 0), full), "V30"),
    ("evidence that is a good share", hold(spoil=f.evidence(lambda _vote, share: share)), "V30"),
    ("evidence for another aggregate",
     hold(spoil=f.evidence(lambda vote, share: f.reshare(vote, share, share["parts"], bytes(32)))), "V30"),
    ("evidence without parts", hold(spoil=f.evidence(lambda vote, share: f.reshare(vote, share, []))), "V30"),
    ("evidence in an open vote",
     edit(_moved_evidence, full), "V30"),
    ("evidence named that is not there",
     hold(spoil=f.core(rejected=[{"trustee": 2, "hash": b64u(bytes(32))}])), "V30"),
]  # fmt: skip

VOTE_MUTATIONS: list[Mutation] = [*BOARDS, *CLOSING, *TALLY, *(one for kind in EVERY_TYPE for one in by_type(kind))]
