"""What dishonest trustees, registrars and members do outside a vote, and a server with its ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.voting.forging import weighted
from tests.voting.scenario import FIRST, MEETING, Meeting
from tests.voting.spoiling import Edit, Files, checked_in
from tests.voting.votes import Vote

from folkmoot_voting import board, challenges, keygen, merkle_log, signing
from folkmoot_voting.encoding import JsonObject, unb64u

# Key generation and ledger.


def keygen_message(kind: str, index: int, *way: Any, to: Callable[[Any], Any]) -> Edit:
    """A trustee changes a value of a key generation message and signs it again."""

    def apply(files: Files, _annex: JsonObject) -> None:
        messages = files["keygen.json"]["messages"]
        position = keygen.ROUNDS.index(kind) * 3 + index - 1
        changed = {name: value for name, value in messages[position].items() if name != "sig"}
        target: Any = changed
        for key in way[:-1]:
            target = target[key]
        target[way[-1]] = to(target[way[-1]])
        messages[position] = keygen.sign_message(changed, checked_in().trustees[index - 1].seed)

    return apply


def ledger_out_of_order(meeting: Meeting) -> None:
    """The server's ledger has the closing before the opening."""
    entries = meeting.ledger_entries
    opened = next(i for i, one in enumerate(entries) if one["type"] == "opened" and i % 2 and i > 3)
    closed = next(i for i, one in enumerate(entries) if one["type"] == "closed")
    entries[opened], entries[closed] = entries[closed], entries[opened]


def resigned_by_other(path: str) -> Edit:
    """Replace a checkpoint by one that another key signed."""

    def change(files: Files, _annex: JsonObject) -> None:
        *way, last = path.split("|")
        target: Any = files
        for step in way:
            target = target[step]
        note = merkle_log.parse_note(target[last])
        target[last] = merkle_log.sign_checkpoint(note.checkpoint, bytes(32)).text()

    return change


def ledger_head(meeting: Meeting, leaves: list[bytes], seed: bytes | None = None) -> str:
    """Return a signed checkpoint over these leaves."""
    head = merkle_log.Checkpoint("localhost/ledger", len(leaves), merkle_log.tree_hash(leaves))
    return merkle_log.sign_checkpoint(head, seed or meeting.server).text()


# People.


def other_checkpoint(make: Callable[[Meeting, list[bytes]], str]) -> Callable[[], Meeting]:
    """The last check-in signs a checkpoint that a dishonest server showed."""

    def change() -> Meeting:
        meeting = checked_in()
        record, person = meeting.checkins[5], meeting.persons[5]
        record["checkpoint"] = text = make(meeting, board.entry_leaves(meeting.ledger_entries))
        nonce, key = unb64u(record["nonce"]), unb64u(record["credential"])
        challenge = challenges.checkin(MEETING[0], meeting.roll.hash, "main", key, text, nonce)
        record["assertion"] = person.authenticator.assertion(challenge)
        return meeting

    return change


def second_device() -> Meeting:
    """A member checks in twice, with two credentials, and both are in the electorate."""
    meeting = checked_in()
    first = meeting.persons[5]
    second = replace(first, credential=meeting.rng(32))
    meeting.check_in(second, FIRST + 320)
    present = [*meeting.persons[:6], second]
    meeting.present = lambda: present  # type: ignore[method-assign]  # the fault planted
    return meeting


def one_member_two_shares() -> Meeting:
    """A member holds two trustees' shares."""
    meeting = checked_in()
    meeting.persons[3], kept = meeting.persons[2], meeting.persons[3]
    meeting.trustee_statements = [meeting._trustee(one) for one in meeting.trustees]
    meeting.persons[3] = kept
    return meeting


def one_member_two_cosigners() -> Meeting:
    """A member has two cosigners' keys."""
    meeting = checked_in()
    twin = replace(meeting.persons[0], cosigner=meeting.persons[4].cosigner)
    meeting.cosigner_statements[4] = meeting._cosigner("teller-3", twin)
    return meeting


def copied_assertion(where: str, to: int, of: int) -> Edit:
    """Use another person's assertion."""
    return lambda _files, annex: annex[where][to].update(assertion=annex[where][of]["assertion"])


def swapped_weights() -> Meeting:
    """The server exchanges the weights of two members after the roll is frozen."""
    meeting = weighted()
    meeting.persons[0].weight, meeting.persons[4].weight = 3, 1
    return meeting


def renamed() -> Meeting:
    """The server gives a member another name after the roll is frozen."""
    meeting = checked_in()
    meeting.persons[2].name = "Somebody Else"
    return meeting


def exception(entry: int, **fields: Any) -> Callable[[], Meeting]:
    """The registrar signs a roll with another exception."""

    def forge(entries: list[JsonObject]) -> None:
        entries[entry]["exception"] = {**entries[entry]["exception"], **fields}

    return lambda: checked_in(forge=forge)


def replaced_by_other(vote: Vote) -> None:
    """A replacement of one member is signed by another's passkey."""
    meeting, device = vote.meeting, vote.meeting.rng(32)
    keys = (meeting.persons[5].first, signing.public_key(device))
    digest = meeting.replacement(vote.manifest.hash, vote.manifest.election, meeting.persons[4], keys, kiosk=False)
    vote._take(board.replacement_entry(*keys, digest, kiosk=False))


def kiosk_hidden(vote: Vote) -> None:
    """A replacement that the member signed for a kiosk is published as the member's own device."""
    meeting, device = vote.meeting, vote.meeting.rng(32)
    keys = (meeting.persons[5].first, signing.public_key(device))
    digest = meeting.replacement(vote.manifest.hash, vote.manifest.election, meeting.persons[5], keys, kiosk=True)
    vote._take(board.replacement_entry(*keys, digest, kiosk=False))
