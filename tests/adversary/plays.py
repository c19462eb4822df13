"""Every attack that leaves a trace in the record: its row of section 11, what is done, the check that must be first.

`then` is the check that would fail next if that one were not made; "" says that nothing else would notice. V02
reads what every later check needs and cannot be left out whole: its plays name the rule instead that is left out,
while the record is made and when it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.adversary import cheats as c
from tests.adversary import weak_proofs
from tests.voting import forging as f
from tests.voting import forging_people as p
from tests.voting.mutations import MUTATIONS
from tests.voting.mutations_votes import LAST, TOO_MUCH
from tests.voting.record import Record
from tests.voting.spoiling import YES_NO, edit, hold, in_manifest

from folkmoot_voting.encoding import b64u

KNOWN = {name: make for name, make, _ in MUTATIONS}
IDENTITY = b64u(bytes(32))
NOT_IN_THE_GROUP = b"\x01" + bytes(31)
PROTOCOL = "fm1-p256"
VOTING = "folkmoot_voting."
# Rules of V02 that cheats and careless verifiers do not know, by the name that holds each.
OTHER_GROUP = {f"{VOTING}manifest.PROTOCOL": PROTOCOL, f"{VOTING}verifier.meeting.PROTOCOL": PROTOCOL}
ANY_SIZE = {f"{VOTING}manifest.LEAST_ELECTORATE": 2, f"{VOTING}rules.LEAST_CAST": 2}
ANY_KEY = {f"{VOTING}manifest._check_trustees": c.let_pass, f"{VOTING}manifest._CHECKS": ()}


@dataclass(frozen=True)
class Play:
    """One attack on one record."""

    row: str
    name: str
    make: Callable[[], Record]
    check: str
    then: str = ""
    careless: Mapping[str, object] = field(default_factory=dict)


def known(row: str, name: str, check: str, then: str = "") -> Play:
    """Play an attack that tests/voting plays too."""
    return Play(row, name, KNOWN[name], check, then)


BALLOTS = [
    Play("A01", "commitments chosen after a weak challenge", hold(spoil=weak_proofs.doubled), "V13", "V14"),
    Play("A01", "yes and no at once", hold(spoil=f.forbidden(TOO_MUCH["yes-no-abstain"][0])), "V14", "V17"),
    Play("A02", "another voter's sealed choice under one's own name", hold(spoil=f.on_board(c.copied)), "V13", "V14"),
    Play("A02", "a ballot put into the box again", hold(spoil=f.on_board(c.replayed)), "V10", "V15"),
    Play("A02", "two devices that draw alike", hold(spoil=f.twins(YES_NO)), "V15", "V17"),
]
PEOPLE = [
    Play("A03", "a sign-in passed off as a check-in", hold(meeting=c.absentee(c.signed_in), voters=7), "V24"),
    Play("A03", "a step-up passed off as a check-in", hold(meeting=c.absentee(c.stepped_up), voters=7), "V24"),
    Play("A03", "a sign-in that is listed and not used", hold(meeting=c.absentee(c.signed_in)), "V25"),
    Play("A04", "another meeting's check-in, not used", hold(meeting=c.absentee(c.of_other_meeting)), "V25"),
    Play("A04", "a check-in to another meeting", hold(meeting=c.absentee(c.of_other_meeting), voters=7), "V24"),
    Play("A04", "a check-in under another roll", hold(meeting=c.absentee(c.of_other_roll), voters=7), "V24"),
    Play("A05", "an old credential as a second lineage", hold(meeting=p.second_device, voters=7), "V25", "V34"),
    known("A05", "voter's check-in twice", "V24"),
    Play("A06", "a passkey enrolled after the freeze", hold(meeting=c.late_passkey, voters=7), "V23", "V24"),
    known("A06", "check-in before the roll", "V26"),
    known("A06", "first passkey without officers", "V33"),
    known("A07", "elector dropped from the list", "V09", "V10"),
    known("A07", "elector stuffed", "V24", "V34"),
    known("A07", "elector hidden in the annex", "V24"),
    known("A08", "replaced phone votes", "V10", "V16"),
    known("A08", "replacement by another member", "V32"),
    Play("A08", "a replacement that nobody asked for", hold(act=c.uninvited_replacement), "V32"),
    known("A09", "kiosk passed off as a phone", "V32"),
    known("A09", "replacement's kiosk mark", "V32"),
    known("A09", "tally says another kiosk", "V22"),
]
BOARD_AND_BOX = [
    Play(
        "A11", "the held-back hall's cosigners do not sign", hold(spoil=f.at_stage("closing", c.without_hall)), "V16"
    ),
    Play("A12", "a ballot after the closing entry", hold(spoil=f.box(c.first_again)), "V08", "V16"),
    Play("A12", "the last ballot cut from the board", edit(c.cut), "V08", "V16"),
    Play("A12", "the board cut after the cosigners signed", hold(spoil=c.cut_and_signed, voters=6), "V16"),
    known("A12", "closing miscounts ballots", "V16"),
    Play(
        "A13",
        "the tellers' view with the liars' cosignatures alone",
        hold(spoil=f.at_stage("closing", c.liars_only)),
        "V16",
    ),
    Play("A13", "cosignatures of the other view", hold(spoil=f.at_stage("closing", c.other_view)), "V16"),
    known("A13", "one cosigner twice", "V16"),
    known("A14", "dropped ledger leaf", "V03", "V04"),
    known("A14", "ledger out of order", "V04"),
    known("A14", "ledger forked for a check-in", "V26"),
    known("A16", "elector with more weight", "V09", "V10"),
    known("A16", "weight of another member", "V10", "V13"),
    known("A16", "weights exchanged", "V24"),
    Play("A17", "the newer ballot first", hold(spoil=f.on_board(f.newer_first), **LAST), "V10", "V16"),
    Play("A17", "the newer ballot forgets the older", hold(spoil=f.on_board(f.forgotten), **LAST), "V10", "V16"),
    known("A18", "intent for another aggregate", "V17", "V22"),
    known("A18", "second intent of a trustee", "V17"),
    Play("A18", "shares without any intent", hold(spoil=f.box(c.without_intents)), "V17", "V22"),
    known("A18", "share for another aggregate", "V18"),
    known("A18", "second share of a trustee", "V18"),
    Play("A19", "a vote of two, held and counted", c.vote_of(2), "V02", "", ANY_SIZE),
    Play("A19", "a vote that may be counted with two", c.vote_of(5), "V02", "", ANY_SIZE),
    known("A19", "closed within the grace", "V16"),
    known("A19", "intent though too few", "V17", "V22"),
    known("A20", "repeat not named", "V09"),
]
KEY_AND_COUNT = [
    Play("A21", "registers exchanged between tellers", edit(c.swapped_register), "V27"),
    known("A21", "trustee's assertion", "V27"),
    Play("A22", "a point chosen after the others'", edit(c.own_key), "V06", "V07"),
    Play("A22", "a point whose secret nobody shows to know", edit(c.revealed(f.other_point)), "V07"),
    known("A24", "wrong decryption factor", "V19", "V20"),
    known("A24", "evidence that is a good share", "V30"),
    known("A24", "evidence dropped", "V30"),
    known("A25", "void of another ballot", "V29"),
    known("A25", "void unsigned", "V29"),
    known("A26", "audited ballot is cast", "V29"),
    known("A26", "cast ballot is audited", "V29"),
    Play(
        "A27", "one vote more", hold(spoil=f.core(counts=lambda rows: [[rows[0][0] + 1, *rows[0][1:]]])), "V20", "V21"
    ),
    known("A27", "quorum met though it is not", "V21"),
    known("A27", "tie decided by the secretary", "V21"),
    known("A27", "tally says another cast_weight", "V22"),
    Play("A28", "another group named throughout", hold(), "V02", "", OTHER_GROUP),
    Play("A28", "the key is the identity", edit(in_manifest("trustees|key", IDENTITY)), "V02", "V07", ANY_KEY),
    Play("A28", "a trustee's point is the identity", edit(c.revealed(lambda _: IDENTITY)), "V07"),
    Play("A28", "a point of another group", hold(spoil=f.bend(0, lambda _: NOT_IN_THE_GROUP)), "V12", "V17"),
    Play("A29", "a trustee's point with bit 255 set", edit(c.revealed(c.beside)), "V07"),
    Play("A29", "a ballot's point with bit 255 set", hold(spoil=f.bend(0, c.with_top_bit)), "V12", "V17"),
    known("A32", "other name on the roll", "V23", "V24"),
    Play("A32", "check-ins exchanged between members", edit(c.renamed_auditor), "V24", "V34"),
    known("A32", "member with two credentials", "V25", "V34"),
    known("A32", "one member with two shares", "V27"),
    known("A32", "one member with two cosignatures", "V28"),
    known("A32", "excluded member in the electorate", "V33"),
    known("A32", "name of a roll-call", "V33"),
    known("A36", "arrival without a check-in", "V34"),
    known("A36", "arrival with another's check-in", "V34"),
    known("A36", "more present at the opening than the log has", "V34"),
    known("A36", "more present at the closing than the log has", "V34"),
    known("A36", "attendance event removed", "V34"),
    known("A36", "attendance event altered", "V34"),
    known("A36", "head of the attendance log altered", "V04", "V34"),
    known("A31", "destruction unsigned", "V31"),
    known("A31", "destroyed before the challenge period was over", "V31"),
    known("A31", "destruction other than the ledger's", "V31"),
    Play("A33", "all electors but one are the server's own", hold(meeting=c.padded, voters=6), "V24"),
    Play("A33", "phantoms in the list alone", hold(meeting=c.padded, voters=1), "V25"),
    known("A34", "one trustee's signature missing", "V22"),
]
HOSTILE_FILES = [
    known("A30", "a key twice", "V01"),
    known("A30", "deep JSON", "V01"),
    known("A30", "surplus file", "V01"),
    known("A30", "not UTF-8", "V01"),
]
PLAYS = [*BALLOTS, *PEOPLE, *BOARD_AND_BOX, *KEY_AND_COUNT, *HOSTILE_FILES]
