"""What a server that cheats does to a meeting, beyond what the mutations of tests/voting do already."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.voting import forging as f
from tests.voting.record import Record
from tests.voting.scenario import FIRST, MEETING, RP, Meeting
from tests.voting.spoiling import AT, BOARD, Files, Spoil, checked_in, hold
from tests.voting.votes import Vote

from folkmoot_voting import board, casting, challenges, group, keygen, merkle_log, signing
from folkmoot_voting.ballot import Ballot, ballot_leaf
from folkmoot_voting.electorate import parse_electorate
from folkmoot_voting.encoding import JsonObject, b64u, h, u32, unb64u
from folkmoot_voting.lineages import Lineages

Entries = list[JsonObject]
TOP_BIT = 0x80


def absentee(challenge: Callable[[Meeting, JsonObject], bytes]) -> Callable[[], Meeting]:
    """The seventh member never checked in; the server does it with an assertion that it has of them."""

    def make() -> Meeting:
        meeting = checked_in()
        person = meeting.persons[6]
        record = meeting.check_in(person, FIRST + 310)
        record["assertion"] = person.authenticator.assertion(challenge(meeting, record))
        return meeting

    return make


def signed_in(_meeting: Meeting, record: JsonObject) -> bytes:
    """The challenge of a sign-in."""
    return challenges.sign_in(RP.id, unb64u(record["nonce"]))


def stepped_up(_meeting: Meeting, record: JsonObject) -> bytes:
    """The challenge of an action, whose text the server may choose."""
    return challenges.action({"type": "check-in", "credential": record["credential"]}, unb64u(record["nonce"]))


def of_other_meeting(meeting: Meeting, record: JsonObject) -> bytes:
    """The challenge of a check-in to another meeting."""
    return _checkin("meeting-0", meeting.roll.hash, record)


def of_other_roll(_meeting: Meeting, record: JsonObject) -> bytes:
    """The challenge of a check-in to this meeting under another roll."""
    return _checkin(MEETING[0], bytes(32), record)


def honest(meeting: Meeting, record: JsonObject) -> bytes:
    """The challenge that the member would have signed."""
    return _checkin(MEETING[0], meeting.roll.hash, record)


def _checkin(meeting: str, roll_hash: bytes, record: JsonObject) -> bytes:
    key, nonce = unb64u(record["credential"]), unb64u(record["nonce"])
    return challenges.checkin(meeting, roll_hash, "main", key, record["checkpoint"], nonce)


def late_passkey() -> Meeting:
    """After the freeze the server enrols a passkey of its own for an absent member and checks it in."""
    meeting = checked_in()
    absent, own = meeting.persons[6], meeting._person(6, 1)
    absent.authenticator = own.authenticator
    meeting.entries[6]["passkeys"].append({"id": own.passkey, "key": b64u(own.authenticator.cose_key)})
    meeting.check_in(absent, FIRST + 310)
    return meeting


def padded() -> Meeting:
    """The server has checked in everybody but the first member itself, with passkeys of its own."""
    meeting = checked_in()
    for record in meeting.checkins[1:]:
        record["assertion"] = meeting._person(6, 1).authenticator.assertion(honest(meeting, record))
    return meeting


def vote_of(electors: int) -> Callable[[], Record]:
    """A secret vote of so many, held, counted and signed by people who think that two are enough."""
    meeting = partial(checked_in, present=electors)
    return hold(meeting=meeting, voters=electors, least_electorate=2)


def let_pass(_anything: object) -> None:
    """A rule that looks at nothing."""


def copied(vote: Vote, entries: Entries) -> Entries:
    """The last voter hands in the first one's sealed choice, signed with their own credential."""
    person = vote.meeting.persons[4]
    fields = {name: entries[4]["ballot"][name] for name in ("credential", "weight", "seq", "prev")}
    unsigned = {**{name: value for name, value in entries[0]["ballot"].items() if name != "sig"}, **fields}
    return [*entries[:4], board.ballot_entry(casting.sign_ballot(unsigned, person.credential))]


def replayed(_vote: Vote, entries: Entries) -> Entries:
    """The server puts the first ballot into the box again."""
    return [*entries, copy.deepcopy(entries[0])]


def first_again(_vote: Vote, entries: Entries) -> Entries:
    """A ballot after closing, in a board that is signed anew."""
    return [f.ballot_of(_vote, _vote.meeting.persons[5].credential), *entries]


def uninvited_replacement(vote: Vote) -> None:
    """The server takes an absent-minded member's place with a key of its own and votes with it."""
    meeting, person = vote.meeting, vote.meeting.persons[5]
    vote.devices[person.member] = device = meeting.rng(32)
    keys = (person.first, signing.public_key(device))
    vote._take(board.replacement_entry(*keys, bytes(32), kiosk=False))
    vote.cast(person, [[1, 0, 0]])


def beside(point: str) -> str:
    """Return the same point with bit 255 set, which libsodium 1.0.18 reads."""
    raw = bytearray(unb64u(point))
    raw[31] |= TOP_BIT
    return b64u(bytes(raw))


def with_top_bit(raw: bytes) -> bytes:
    """Return a point's bytes with bit 255 set."""
    return raw[:31] + bytes([raw[31] | TOP_BIT])


def revealed(change: Callable[[str], str]) -> Callable[[Files, JsonObject], None]:
    """The first trustee commits to and reveals another first point; the transcript is whatever it is."""

    def apply(files: Files, _annex: JsonObject) -> None:
        messages, trustee = files["keygen.json"]["messages"], checked_in().trustees[0]
        reveal = {name: value for name, value in messages[6].items() if name != "sig"}
        reveal["points"] = [change(reveal["points"][0]), *reveal["points"][1:]]
        points = [unb64u(point) for point in reveal["points"]]
        digest = h("fm1/dkg-commit", MEETING[0], u32(1), u32(1), trustee.sign_key, *points)
        commit = {**{name: value for name, value in messages[3].items() if name != "sig"}, "hash": b64u(digest)}
        messages[3], messages[6] = (keygen.sign_message(one, trustee.seed) for one in (commit, reveal))

    return apply


def own_key(files: Files, _annex: JsonObject) -> None:
    """The last trustee's point cancels the others', so that the key would be theirs alone."""
    points = [unb64u(files["keygen.json"]["messages"][6 + i]["points"][0]) for i in range(2)]
    wanted = group.sub(group.mult_base(group.scalar_int(7)), group.total(points))
    files["keygen.json"]["messages"][8]["points"][0] = b64u(wanted)
    message = {name: value for name, value in files["keygen.json"]["messages"][8].items() if name != "sig"}
    files["keygen.json"]["messages"][8] = keygen.sign_message(message, checked_in().trustees[2].seed)


def swapped_register(_files: Files, annex: JsonObject) -> None:
    """The statements of two trustees' passkeys are exchanged."""
    first, second = annex["trustees"][0], annex["trustees"][1]
    for name in ("sign_key", "box_key"):
        first[name], second[name] = second[name], first[name]


def cut(files: Files, _annex: JsonObject) -> None:
    """The last ballot is cut from the published board."""
    del files[BOARD][5]


def without_intents(_vote: Vote, entries: Entries) -> Entries:
    """Shares of a part of the box appear with no intent before them."""
    return [entry for entry in entries if entry["type"] != "intent"]


def renamed_auditor(_files: Files, annex: JsonObject) -> None:
    """A check-in of one member is said to be another's."""
    annex["checkins"][0]["member"], annex["checkins"][1]["member"] = "m-001", "m-000"


def liars_only(note: merkle_log.Note) -> merkle_log.Note:
    """Only the server's own signature and those of the two cosigners who lie."""
    return replace(note, signatures=note.signatures[:3])


def without_hall(note: merkle_log.Note) -> merkle_log.Note:
    """Two of the five cosigners sit in the hall whose ballots are held back; a third of the four is one of them."""
    return replace(note, signatures=note.signatures[:4])


def other_view(note: merkle_log.Note) -> merkle_log.Note:
    """The honest cosigners have signed the board that voters are shown, the liars this one, too."""
    shown = replace(note.checkpoint, root=bytes(32))
    honest = [
        merkle_log.cosign(shown, name, person.cosigner, AT + 99) for name, person in checked_in().cosigners()[2:4]
    ]
    return replace(note, signatures=(*note.signatures[:3], *honest))


def folded(vote: Vote) -> Lineages:
    """Return the lineages after the ballots that the server has left."""
    lineages = Lineages(vote.manifest, parse_electorate(vote.electorate))
    for entry in vote.entries:
        lineages.add_ballot(Ballot.from_json(entry["ballot"]), ballot_leaf(entry["ballot"]))
    return lineages


def cut_and_signed(vote: Vote) -> Spoil:
    """All six vote, the closing is cosigned; then the server drops a ballot and signs a board without it."""
    whole = merkle_log.Checkpoint(vote.manifest.board_origin, len(vote.entries) + 2, bytes(32))
    vote.entries.pop()
    vote.lineages = folded(vote)

    def cosigned(note: merkle_log.Note) -> merkle_log.Note:
        lines = [merkle_log.cosign(whole, name, one.cosigner, AT + 99) for name, one in vote.meeting.cosigners()[:4]]
        return replace(note, signatures=(note.signatures[0], *lines))

    return {"closing": cosigned}
