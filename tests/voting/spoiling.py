"""Ways to spoil a record.

An `edit` changes a finished record. A `hold` runs the meeting again with a dishonest server, trustee, voter
or registrar who signs what they can sign, so that only the named check can notice.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.voting.scenario import FIRST, MEETING, SIMPLE, Meeting, Person
from tests.voting.seeded import SeededRng

from folkmoot_voting import ballot, board, bundle, challenges, group, keygen, merkle_log, signing
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.manifest import Manifest, yes_no_abstain

AT = FIRST + 600
VOTE = "vote-1"
FOLDER = f"elections/{VOTE}/"
BOARD = FOLDER + "board.jsonl"

Files = dict[str, bytes]
Record = tuple[bytes, bytes]
Edit = Callable[[dict[str, Any], JsonObject], None]
Ballots = Callable[[Meeting, Manifest, list[JsonObject]], list[JsonObject]]
Spoil = Callable[[Meeting, Manifest], dict[str, Callable[[Any], Any]]]


def checked_in() -> Meeting:
    """Seven members on the roll, six of them checked in."""
    meeting = Meeting("mutations")
    for offset, person in enumerate(meeting.persons[:6]):
        meeting.check_in(person, FIRST + 300 + offset)
    return meeting


def honest_ballots(meeting: Meeting, opened: Manifest, voters: int = 5) -> list[JsonObject]:
    """The first members present vote yes, no, abstain in turn."""
    return [
        ballot.make_ballot(opened, person.credential, [index % 3], meeting.rng)
        for index, person in enumerate(meeting.present()[:voters])
    ]


def run(
    ballots: Ballots | None = None,
    spoil: Spoil | None = None,
    before: Callable[[Meeting], None] | None = None,
    after: Callable[[Meeting], None] | None = None,
    voters: int = 5,
) -> Record:
    """Hold one election and return bundle and annex."""
    meeting = checked_in()
    if before:
        before(meeting)
    opened = meeting.open(VOTE, [yes_no_abstain("Carry?")], SIMPLE, AT)
    cast = honest_ballots(meeting, opened, voters)
    if ballots:
        cast = ballots(meeting, opened, cast)
    meeting.finish(opened, cast, AT, spoil(meeting, opened) if spoil else None)
    if after:
        after(meeting)
    return bundle.write_bundle(meeting.bundle()), bundle.write_annex(meeting.annex())


GOOD: Record = run()


def edit(change: Edit) -> Callable[[], Record]:
    """Change parsed files of the good record; JSON files as objects, the board as a list of entries."""

    def make() -> Record:
        files: dict[str, Any] = {}
        for name, raw in bundle.unpack(GOOD[0]).items():
            if name.endswith(".json"):
                files[name] = json.loads(raw)
            elif name.endswith(".jsonl"):
                files[name] = [json.loads(line) for line in raw.splitlines()]
            else:
                files[name] = raw.decode()
        annex = json.loads(bundle.unpack(GOOD[1])["annex.json"])
        change(files, annex)
        packed = {name: _encode(name, value) for name, value in files.items()}
        return bundle.pack(packed), bundle.pack({"annex.json": jcs(annex)})

    return make


def _encode(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return b"".join(jcs(one) + b"\n" for one in value) if name.endswith(".jsonl") else jcs(value)


def hold(**how: Any) -> Callable[[], Record]:
    """Run the meeting with these dishonest steps."""
    return lambda: run(**how)


def secrets_of() -> Meeting:
    """The same meeting, for its keys."""
    return checked_in()


def flip(text: str) -> str:
    """Change one bit of a b64u value."""
    raw = bytearray(unb64u(text))
    raw[len(raw) // 2] ^= 1
    return b64u(bytes(raw))


def put(path: str, value: Any) -> Edit:
    """Set one value: file, then keys and indices, separated by `|`."""

    def change(files: dict[str, Any], annex: JsonObject) -> None:
        *way, last = path.split("|")
        target: Any = {**files, "annex": annex}
        for step in way:
            target = target[int(step) if isinstance(target, list) else step]
        key: Any = int(last) if isinstance(target, list) else last
        if target is not files and len(way) == 0:
            files[str(key)] = value
        else:
            target[key] = value(target[key]) if callable(value) else value

    return change


def in_manifest(name: str, value: Any) -> Edit:
    """Change a value of the opening entry's manifest."""
    return put(f"{FOLDER}board.jsonl|0|manifest|{name}", value)


# Ballots that a dishonest voter or server would put on the board.


def bend(offset: int, new: Callable[[bytes], bytes], voter: int = 0) -> Ballots:
    """Replace 32 bytes of a voter's choices and sign again."""

    def change(meeting: Meeting, _opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
        raw = unb64u(cast[voter]["choices"][0])
        start = offset if offset >= 0 else len(raw) + offset
        bent = raw[:start] + new(raw[start : start + 32]) + raw[start + 32 :]
        cast[voter] = resign(cast[voter], meeting.persons[voter], choices=[b64u(bent)])
        return cast

    return change


def resign(one: JsonObject, person: Person, **fields: Any) -> JsonObject:
    """Return the ballot with other fields and a fresh signature."""
    changed = {**one, **fields}
    return {**changed, "sig": b64u(signing.sign(person.credential, ballot.signed_hash(changed)))}


def fields_of_ballot(**fields: Any) -> Ballots:
    """Set fields of the first ballot and sign again."""

    def change(meeting: Meeting, _opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
        return [resign(cast[0], meeting.persons[0], **fields), *cast[1:]]

    return change


def plus_one(scalar: bytes) -> bytes:
    """Return the scalar plus one."""
    return group.scalar_add(scalar, group.ONE)


def same_randomness(meeting: Meeting, opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
    """Two voters whose devices drew the same numbers."""
    twins = [ballot.make_ballot(opened, person.credential, [0], SeededRng("twin")) for person in meeting.persons[:2]]
    return [*twins, *cast[2:]]


def vote_twice(meeting: Meeting, opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
    """The first voter casts a second, different ballot."""
    return [*cast, ballot.make_ballot(opened, meeting.persons[0].credential, [1], meeting.rng)]


def foreign_signature(_meeting: Meeting, _opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
    """The first ballot carries the second one's signature."""
    return [{**cast[0], "sig": cast[1]["sig"]}, *cast[1:]]


def stuffed(voters: int) -> Ballots:
    """The server adds ballots of credentials nobody's passkey signed."""

    def change(meeting: Meeting, opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
        return [*cast, *(ballot.make_ballot(opened, meeting.rng(32), [0], meeting.rng) for _ in range(voters))]

    return change


def on_board(ballots: Ballots) -> Spoil:
    """The server publishes other ballots than it counts."""
    return lambda meeting, opened: {"board": lambda cast: ballots(meeting, opened, list(cast))}


# Dishonest closing, box and tally.


def at_stage(stage: str, change: Callable[[Any], Any]) -> Spoil:
    """Change one stage's value."""
    return lambda _meeting, _opened: {stage: change}


def core(**fields: Any) -> Spoil:
    """Everyone signs a core with other values."""
    return at_stage("core", lambda value: {**value, **fields})


def fewer_cosigners(note: merkle_log.Note) -> merkle_log.Note:
    """Leave out the last cosignature."""
    return merkle_log.Note(note.checkpoint, note.signatures[:-1])


def repeated_cosigner(note: merkle_log.Note) -> merkle_log.Note:
    """One cosigner twice instead of two."""
    again = merkle_log.cosign(note.checkpoint, "chair", secrets_of().persons[0].cosigner, AT + 99)
    return merkle_log.Note(note.checkpoint, (*note.signatures[:-1], again))


def late_cosigner(note: merkle_log.Note) -> merkle_log.Note:
    """Change the time of a cosignature."""
    last = note.signatures[-1]
    changed = merkle_log.SignatureLine(last.name, last.key_id, bytes(8) + last.payload[8:])
    return merkle_log.Note(note.checkpoint, (*note.signatures[:-1], changed))


def box(change: Callable[[Meeting, Manifest, list[JsonObject]], list[JsonObject]]) -> Spoil:
    """Change intents and shares (intent, share, intent, share)."""
    return lambda meeting, opened: {"box": lambda entries: change(meeting, opened, entries)}


def other_aggregate(meeting: Meeting, opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    closing = unb64u(entries[0]["closing"])
    wrong = board.intent_entry(2, opened.hash, closing, bytes(32), meeting.trustees[1].seed)
    return [wrong, *entries[1:]]


def other_closing(meeting: Meeting, opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    aggregate = unb64u(entries[0]["aggregate"])
    wrong = board.intent_entry(2, opened.hash, bytes(32), aggregate, meeting.trustees[1].seed)
    return [wrong, *entries[1:]]


def share_first(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return [entries[1], entries[0], *entries[2:]]


def unsigned_intent(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return [{**entries[0], "sig": entries[2]["sig"]}, *entries[1:]]


def unsigned_share(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return [entries[0], {**entries[1], "sig": entries[3]["sig"]}, *entries[2:]]


def share_with(name: str, change: Callable[[str], str]) -> Spoil:
    """A trustee changes one value of a share and signs it."""

    def spoil(meeting: Meeting, opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
        parts = copy.deepcopy(entries[1]["parts"])
        parts[0][1][name] = change(parts[0][1][name])
        one = meeting.trustees[1]
        aggregate = unb64u(entries[1]["aggregate"])
        return [entries[0], board.share_entry(2, opened.hash, aggregate, parts, one.seed), *entries[2:]]

    return box(spoil)


def short_share(meeting: Meeting, opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    one, aggregate = meeting.trustees[1], unb64u(entries[1]["aggregate"])
    parts = [entries[1]["parts"][0][:2]]
    return [entries[0], board.share_entry(2, opened.hash, aggregate, parts, one.seed), *entries[2:]]


def foreign_share(meeting: Meeting, opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    one, parts = meeting.trustees[1], entries[1]["parts"]
    return [entries[0], board.share_entry(2, opened.hash, bytes(32), parts, one.seed), *entries[2:]]


def one_share_less(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return entries[:-1]


def second_intent(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return [*entries, entries[0]]


def second_share(_meeting: Meeting, _opened: Manifest, entries: list[JsonObject]) -> list[JsonObject]:
    return [*entries, entries[1]]


def intent_though_too_few(meeting: Meeting, opened: Manifest, _entries: list[JsonObject]) -> list[JsonObject]:
    return [board.intent_entry(1, opened.hash, bytes(32), bytes(32), meeting.trustees[0].seed)]


def share_though_too_few(meeting: Meeting, opened: Manifest, _entries: list[JsonObject]) -> list[JsonObject]:
    return [board.share_entry(1, opened.hash, bytes(32), [], meeting.trustees[0].seed)]


def to_base(_: Any) -> str:
    return b64u(group.BASE)


def more(scalar: str) -> str:
    """Return a b64u scalar plus one."""
    return b64u(plus_one(unb64u(scalar)))


def final_is_closing(files: dict[str, Any], _annex: JsonObject) -> None:
    files[FOLDER + "final.txt"] = files[FOLDER + "closing.txt"]


def tally_without(signer: str) -> Spoil:
    """Replace a signature under the tally by another person's."""

    def change(value: JsonObject) -> JsonObject:
        signatures = copy.deepcopy(value["signatures"])
        if signer == "trustee":
            signatures["trustees"][0]["sig"] = signatures["trustees"][1]["sig"]
        elif signer == "one trustee":
            del signatures["trustees"][0]
        else:
            signatures[signer] = signatures["trustees"][0]["sig"]
        return {**value, "signatures": signatures}

    return at_stage("tally", change)


# Key generation, ledger, roll and annex.


def keygen_message(kind: str, index: int, change: Callable[[JsonObject], None]) -> Edit:
    """Change a key generation message and sign it again."""

    def apply(files: dict[str, Any], _annex: JsonObject) -> None:
        messages = files["keygen.json"]["messages"]
        position = keygen.ROUNDS.index(kind) * 3 + index - 1
        changed = {name: value for name, value in messages[position].items() if name != "sig"}
        change(changed)
        messages[position] = keygen.sign_message(changed, secrets_of().trustees[index - 1].seed)

    return apply


def set_key(*way: Any, to: Callable[[Any], Any]) -> Callable[[JsonObject], None]:
    """Return a change of one nested value."""

    def apply(target: Any) -> None:
        for key in way[:-1]:
            target = target[key]
        target[way[-1]] = to(target[way[-1]])

    return apply


def swap_messages(files: dict[str, Any], _annex: JsonObject) -> None:
    messages = files["keygen.json"]["messages"]
    messages[0], messages[1] = messages[1], messages[0]


def drop(path: str) -> Edit:
    """Delete one item."""

    def change(files: dict[str, Any], annex: JsonObject) -> None:
        *way, last = path.split("|")
        target: Any = {**files, "annex": annex}
        for key in way:
            target = target[int(key) if isinstance(target, list) else key]
        del target[int(last) if isinstance(target, list) else last]

    return change


def swap_ballots(files: dict[str, Any], _annex: JsonObject) -> None:
    lines = files[FOLDER + "board.jsonl"]
    lines[1], lines[2] = lines[2], lines[1]


def ledger_out_of_order(meeting: Meeting) -> None:
    """The server's ledger has the closing before the opening."""
    entries = meeting.ledger_entries
    opened = next(i for i, one in enumerate(entries) if one["type"] == "opened" and i % 2 and i > 3)
    closed = next(i for i, one in enumerate(entries) if one["type"] == "closed")
    entries[opened], entries[closed] = entries[closed], entries[opened]


def resigned_by(path: str, seed: bytes) -> Edit:
    """Replace a checkpoint file by one that another key signed."""

    def change(files: dict[str, Any], _annex: JsonObject) -> None:
        note = merkle_log.parse_note(files[path])
        files[path] = merkle_log.sign_checkpoint(note.checkpoint, seed).text()

    return change


def ledger_signed_by_other(files: dict[str, Any], _annex: JsonObject) -> None:
    note = merkle_log.parse_note(files["ledger.json"]["checkpoint"])
    files["ledger.json"]["checkpoint"] = merkle_log.sign_checkpoint(note.checkpoint, bytes(32)).text()


def copy_assertion(where: str, to: int, of: int) -> Edit:
    """Use another person's assertion."""
    return lambda _files, annex: annex[where][to].update(assertion=annex[where][of]["assertion"])


def second_device(meeting: Meeting) -> None:
    """A member checks in twice, with two credentials."""
    first = meeting.persons[5]
    second = Person(first.member, first.authenticator, meeting.rng(32), b"")
    meeting.check_in(second, FIRST + 320)
    meeting.present = lambda: [*meeting.persons[:6], second]  # type: ignore[method-assign]  # the fault planted


def check_in_with(checkpoint: Callable[[Meeting], str]) -> Callable[[Meeting], None]:
    """The last check-in signs a checkpoint that a dishonest server showed."""

    def change(meeting: Meeting) -> None:
        record, person = meeting.checkins[5], meeting.persons[5]
        record["checkpoint"] = text = checkpoint(meeting)
        nonce, key = unb64u(record["nonce"]), unb64u(record["credential"])
        challenge = challenges.checkin(MEETING[0], meeting.roll.hash, "main", key, text, nonce)
        record["assertion"] = person.authenticator.assertion(challenge)

    return change


def ledger_head(meeting: Meeting, leaves: list[bytes], seed: bytes | None = None) -> str:
    """A signed checkpoint over these leaves."""
    head = merkle_log.Checkpoint("localhost/ledger", len(leaves), merkle_log.tree_hash(leaves))
    return merkle_log.sign_checkpoint(head, seed or meeting.server).text()


def forked(meeting: Meeting) -> str:
    leaves = board.entry_leaves(meeting.ledger_entries)
    return ledger_head(meeting, [*leaves[:-1], bytes(32)])


def before_the_roll(meeting: Meeting) -> str:
    return ledger_head(meeting, board.entry_leaves(meeting.ledger_entries)[:1])


def signed_elsewhere(meeting: Meeting) -> str:
    return ledger_head(meeting, board.entry_leaves(meeting.ledger_entries), bytes(32))


def one_member_two_shares(meeting: Meeting) -> None:
    meeting.persons[3], kept = meeting.persons[2], meeting.persons[3]
    meeting.trustee_statements = [meeting._trustee(one) for one in meeting.trustees]
    meeting.persons[3] = kept


def one_member_two_cosigners(meeting: Meeting) -> None:
    twin = Person("", meeting.persons[0].authenticator, b"", meeting.persons[4].cosigner)
    twin.member = meeting.persons[0].member
    meeting.cosigner_statements[4] = meeting._cosigner("teller-3", twin)


def surplus_file(files: dict[str, Any], _annex: JsonObject) -> None:
    files["notes.txt"] = "hello"


def spaced_json(files: dict[str, Any], _annex: JsonObject) -> None:
    files["keygen.json"] = json.dumps(files["keygen.json"]).encode()


def no_last_line_feed(files: dict[str, Any], _annex: JsonObject) -> None:
    files[FOLDER + "board.jsonl"] = _encode("x.jsonl", files[FOLDER + "board.jsonl"])[:-1]


def two_options(meeting: Meeting, opened: Manifest, cast: list[JsonObject]) -> list[JsonObject]:
    """A voter chooses two options, each sealed and proved, and cannot prove the sum."""
    draft = ballot._Draft(opened.key, [1, 1, 0], meeting.rng)
    key = signing.public_key(meeting.persons[0].credential)
    e = ballot.challenge(opened, key, 1, 1, b"", [draft.points()])
    return [resign(cast[0], meeting.persons[0], choices=[b64u(draft.answer(e).encode())]), *cast[1:]]
