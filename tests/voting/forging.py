"""What dishonest voters, servers, trustees and registrars do, each signing what they can sign."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.voting.scenario import FIRST, Meeting, Person
from tests.voting.seeded import SeededRng
from tests.voting.spoiling import AT, YES_NO, Spoil, checked_in, choice
from tests.voting.votes import Choices, Vote, open_vote

from folkmoot_voting import ballot, board, casting, electorate, group, merkle_log, signing, tally
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import Question

Entries = list[JsonObject]
Change = Callable[[Vote, Entries], Entries]


def other_point(_: Any = None) -> str:
    """Return the base point, which is somewhere else where it is not expected."""
    return b64u(group.BASE)


def more(scalar: str) -> str:
    """Return a b64u scalar plus one."""
    return b64u(group.scalar_add(unb64u(scalar), group.ONE))


def plus_one(scalar: bytes) -> bytes:
    """Return the scalar plus one."""
    return group.scalar_add(scalar, group.ONE)


# Ballots.


def on_board(change: Change) -> Callable[[Vote], Spoil]:
    """The server publishes other entries than it has accepted."""
    return lambda vote: {"board": lambda entries: change(vote, copy.deepcopy(list(entries)))}


def resign(vote: Vote, entry: JsonObject, person: Person, **fields: Any) -> JsonObject:
    """Return a ballot entry with other fields and a fresh signature."""
    changed = {**entry["ballot"], **fields}
    unsigned = {name: value for name, value in changed.items() if name != "sig"}
    return board.ballot_entry(casting.sign_ballot(unsigned, vote.device(person)))


def with_fields(voter: int = 0, **fields: Any) -> Callable[[Vote], Spoil]:
    """A voter signs a ballot with other fields."""

    def change(vote: Vote, entries: Entries) -> Entries:
        entries[voter] = resign(vote, entries[voter], vote.meeting.persons[voter], **fields)
        return entries

    return on_board(change)


def bend(offset: int, new: Callable[[bytes], bytes]) -> Callable[[Vote], Spoil]:
    """The first voter replaces 32 bytes of the choices, counted from the end when negative, and signs."""

    def change(vote: Vote, entries: Entries) -> Entries:
        raw = unb64u(entries[0]["ballot"]["choices"][0])
        start = offset if offset >= 0 else len(raw) + offset
        bent = raw[:start] + new(raw[start : start + 32]) + raw[start + 32 :]
        entries[0] = resign(vote, entries[0], vote.meeting.persons[0], choices=[b64u(bent)])
        return entries

    return on_board(change)


def split_at(question: Question) -> int:
    """Return where the first cell's first split challenge is."""
    return 64 + 64 * (question.cells[0] + 1)


def response_at(question: Question) -> int:
    """Return where the first cell's first response is."""
    return split_at(question) + 32 * question.cells[0]


def sealed_anyway(vote: Vote, person: Person, choices: Choices) -> JsonObject:
    """Seal and prove, as far as it can be proved, a choice that the question does not allow."""
    device = vote.device(person)
    key = signing.public_key(device)
    contents = casting._contents(vote.manifest, key, choices, vote.meeting.rng, casting.FIRST)
    unsigned: JsonObject = {
        "v": 1,
        "manifest": b64u(vote.manifest.hash),
        "credential": b64u(key),
        "weight": person.weight,
        "seq": 1,
        "prev": "",
        "choices": [b64u(raw) for raw in contents],
    }
    return board.ballot_entry(casting.sign_ballot(unsigned, device))


def forbidden(choices: Choices) -> Callable[[Vote], Spoil]:
    """The first voter chooses what the question does not allow."""
    return on_board(lambda vote, entries: [sealed_anyway(vote, vote.meeting.persons[0], choices), *entries[1:]])


def twins(question: Question) -> Callable[[Vote], Spoil]:
    """Two voters' devices draw the same numbers."""

    def change(vote: Vote, entries: Entries) -> Entries:
        made = [
            casting.make_ballot(vote.manifest, person.credential, choice(question, 0), SeededRng("twin"))
            for person in vote.meeting.persons[:2]
        ]
        return [*map(board.ballot_entry, made), *entries[2:]]

    return on_board(change)


def foreign_signature(_vote: Vote, entries: Entries) -> Entries:
    """The first ballot carries the second one's signature."""
    entries[0]["ballot"]["sig"] = entries[1]["ballot"]["sig"]
    return entries


def ballot_of(vote: Vote, seed: bytes, place: casting.Place = casting.FIRST) -> JsonObject:
    """Return the entry of an honest ballot of whoever has this seed."""
    made = casting.make_ballot(vote.manifest, seed, choice(YES_NO, 0), vote.meeting.rng, place)
    return board.ballot_entry(made)


def stuffed(vote: Vote, entries: Entries) -> Entries:
    """The server adds a ballot of a credential that nobody's passkey signed."""
    return [*entries, ballot_of(vote, vote.meeting.rng(32))]


def twice(vote: Vote, entries: Entries) -> Entries:
    """The first voter casts a second ballot."""
    leaf = ballot.ballot_leaf(entries[0]["ballot"])
    return [*entries, ballot_of(vote, vote.meeting.persons[0].credential, casting.Place(1, 2, leaf))]


def forgotten(vote: Vote, entries: Entries) -> Entries:
    """A voter's second ballot names no ballot before."""
    return [*entries, ballot_of(vote, vote.meeting.persons[0].credential, casting.Place(1, 2, bytes(32)))]


def newer_first(vote: Vote, entries: Entries) -> Entries:
    """The server publishes a voter's second ballot before the first, so that the first would count."""
    return [*twice(vote, entries)[-1:], *entries]


def replaced(old: int, new: int, **fields: Any) -> Change:
    """The server publishes a replacement that it made up: old and new are members' first credentials."""

    def change(vote: Vote, entries: Entries) -> Entries:
        keys = (vote.meeting.persons[old].first, vote.meeting.persons[new].first if new >= 0 else bytes([7]) * 32)
        return [*entries, {**board.replacement_entry(*keys, bytes(32), kiosk=False), **fields}]

    return change


def replaced_votes(vote: Vote, entries: Entries) -> Entries:
    """A phone that was replaced still votes."""
    person = vote.meeting.persons[5]
    taken = replaced(5, -1)(vote, [])
    return [*entries, *taken, ballot_of(vote, person.credential)]


# Audited ballots.


def void_of(vote: Vote, person: Person, seed: bytes) -> tuple[JsonObject, JsonObject]:
    """Return a void entry and the ballot entry that it forbids."""
    unsigned = casting.seal(vote.manifest, person.first, choice(YES_NO, 0), casting.SeededDraws(seed))
    signed = casting.sign_ballot(unsigned, person.credential)
    return casting.make_void(vote.manifest, person.credential, unsigned), board.ballot_entry(signed)


def accepted(change: Change) -> Callable[[Vote], None]:
    """The server takes entries without looking at what was audited, and counts them."""

    def act(vote: Vote) -> None:
        for entry in change(vote, []):
            if entry["type"] == "ballot":
                found = ballot.Ballot.from_json(entry["ballot"])
                vote.lineages.add_ballot(found, found.leaf)
            else:
                vote.lineages.add_void(entry)
            vote.entries.append(entry)

    return act


def audited_is_cast(vote: Vote, entries: Entries) -> Entries:
    """A ballot is void and cast nevertheless."""
    return [*entries, *void_of(vote, vote.meeting.persons[5], bytes(32))]


def cast_is_audited(vote: Vote, entries: Entries) -> Entries:
    """A ballot is cast and void afterwards."""
    return [*entries, *void_of(vote, vote.meeting.persons[5], bytes(32))[::-1]]


def voids(number: int) -> Change:
    """A voter audits so many ballots."""

    def change(vote: Vote, entries: Entries) -> Entries:
        made = [void_of(vote, vote.meeting.persons[5], bytes([index]) * 32)[0] for index in range(number)]
        return [*entries, *made]

    return change


def void_twice(vote: Vote, entries: Entries) -> Entries:
    """One ballot is void twice."""
    return [*entries, *[void_of(vote, vote.meeting.persons[5], bytes(32))[0]] * 2]


def void_with(**fields: Callable[[str], str]) -> Change:
    """A void entry has other values."""

    def change(vote: Vote, entries: Entries) -> Entries:
        entry = void_of(vote, vote.meeting.persons[5], bytes(32))[0]
        return [*entries, {**entry, **{name: new(entry[name]) for name, new in fields.items()}}]

    return change


# Manifest and electorate.


def remake(vote: Vote, **fields: Any) -> None:
    """The server opens the vote with another manifest."""
    made = Manifest.from_json({**vote.manifest.json, **fields})
    vote.manifest = vote.lineages.manifest = vote.voids.manifest = made


def relist(change: Callable[[list[JsonObject]], None]) -> Callable[[Vote], None]:
    """The server opens the vote with another electorate, and the manifest fits it."""

    def apply(vote: Vote) -> None:
        change(vote.electorate)
        remake(
            vote,
            electorate=b64u(electorate.electorate_hash(vote.electorate)),
            electorate_size=len(vote.electorate),
            electorate_weight=sum(one["weight"] for one in vote.electorate),
        )

    return apply


def after_a_vote(excluded: Sequence[str] = ()) -> Callable[[], Meeting]:
    """Return a meeting that has held an earlier vote with other members left out."""

    def make() -> Meeting:
        meeting = checked_in(8, 7)
        first = open_vote(meeting, "vote-0", [YES_NO], at=FIRST + 400, excluded=excluded)
        electors = [person for person in meeting.present() if person.member not in excluded]
        for index, person in enumerate(electors[:4]):
            first.cast(person, choice(YES_NO, index))
        first.finish()
        return meeting

    return make


def weighted(weights: Sequence[int] = (1, 1, 1, 1, 3, 3, 3)) -> Meeting:
    """Return a meeting with two weights, all members checked in."""
    return checked_in(len(weights), len(weights), weights=weights)


def stuffed_elector(vote: Vote) -> None:
    """The server adds a credential of nobody to the electorate."""
    remake(vote, present=7, present_weight=7)
    relist(lambda listed: _insert(listed, b64u(signing.public_key(bytes(32)))))(vote)


def _insert(listed: list[JsonObject], credential: str) -> None:
    listed.append({"credential": credential, "weight": 1, "name": ""})
    listed.sort(key=lambda one: str(one["credential"]))


# Closing, box and tally.


def at_stage(stage: str, change: Callable[[Any], Any]) -> Callable[[Vote], Spoil]:
    """Change one stage's value."""
    return lambda _vote: {stage: change}


def numbers(**fields: Any) -> Callable[[Vote], Spoil]:
    """The closing entry has other values; a function is given the value that it would have."""
    return at_stage("numbers", lambda entry: _changed(entry, fields))


def core(**fields: Any) -> Callable[[Vote], Spoil]:
    """Everyone signs a core with other values; a function is given the value that it would have."""
    return at_stage("core", lambda value: _changed(value, fields))


def _changed(value: JsonObject, fields: JsonObject) -> JsonObject:
    return {**value, **{name: new(value[name]) if callable(new) else new for name, new in fields.items()}}


def fewer_cosigners(note: merkle_log.Note) -> merkle_log.Note:
    """Leave out the last cosignature."""
    return replace(note, signatures=note.signatures[:-1])


def repeated_cosigner(note: merkle_log.Note) -> merkle_log.Note:
    """One cosigner twice instead of two."""
    line = merkle_log.cosign(note.checkpoint, "chair", checked_in().persons[0].cosigner, AT + 99)
    return replace(note, signatures=(*note.signatures[:-1], line))


def late_cosigner(note: merkle_log.Note) -> merkle_log.Note:
    """Change the time of a cosignature."""
    last = note.signatures[-1]
    return replace(note, signatures=(*note.signatures[:-1], replace(last, payload=bytes(8) + last.payload[8:])))


def box(change: Change) -> Callable[[Vote], Spoil]:
    """Change intents and shares (intent, share, intent, share, castings)."""
    return lambda vote: {"box": lambda entries: change(vote, list(entries))}


def intent_for(**names: bytes) -> Change:
    """The first trustee's intent names another closing or aggregate."""

    def change(vote: Vote, entries: Entries) -> Entries:
        named = {name: names.get(name, unb64u(entries[0][name])) for name in ("manifest", "closing", "aggregate")}
        return [_intent(vote, **named), *entries[1:]]

    return change


def _intent(vote: Vote, manifest: bytes, closing: bytes, aggregate: bytes) -> JsonObject:
    index = vote.meeting.trustees[-vote.meeting.threshold].index
    return board.intent_entry(index, manifest, closing, aggregate, vote.meeting.trustees[index - 1].seed)


def uninvited_intent(vote: Vote, entries: Entries) -> Entries:
    """An intent where there is no box to open."""
    return [_intent(vote, vote.manifest.hash, bytes(32), bytes(32)), *entries]


def uninvited_share(vote: Vote, entries: Entries) -> Entries:
    """A share where there is no box to open."""
    seed = vote.meeting.trustees[0].seed
    return [board.share_entry(1, vote.manifest.hash, bytes(32), [], seed), *entries]


def order(*places: int) -> Change:
    """Publish intents and shares in another order, some twice or not at all."""
    return lambda _vote, entries: [entries[place] for place in places]


def signed_by_other(place: int, other: int) -> Change:
    """An intent or share carries the signature of another."""
    return lambda _vote, entries: [
        {**entry, "sig": entries[other]["sig"]} if index == place else entry for index, entry in enumerate(entries)
    ]


def reshare(vote: Vote, entry: JsonObject, parts: Any, aggregate: bytes | None = None) -> JsonObject:
    """Return a share with other parts or for another aggregate, signed by its trustee."""
    seed = vote.meeting.trustees[entry["trustee"] - 1].seed
    named = unb64u(entry["aggregate"]) if aggregate is None else aggregate
    return board.share_entry(entry["trustee"], vote.manifest.hash, named, parts, seed)


def share_with(name: str, change: Callable[[str], str]) -> Change:
    """A trustee changes one value of a share and signs it."""

    def spoil(vote: Vote, entries: Entries) -> Entries:
        parts = copy.deepcopy(entries[1]["parts"])
        parts[0][-1][name] = change(parts[0][-1][name])
        return [entries[0], reshare(vote, entries[1], parts), *entries[2:]]

    return spoil


def short_share(vote: Vote, entries: Entries) -> Entries:
    """A share has no part for the last cell."""
    return [entries[0], reshare(vote, entries[1], [entries[1]["parts"][0][:-1]]), *entries[2:]]


def foreign_share(vote: Vote, entries: Entries) -> Entries:
    """A share is for another aggregate."""
    return [entries[0], reshare(vote, entries[1], entries[1]["parts"], bytes(32)), *entries[2:]]


def evidence(change: Callable[[Vote, JsonObject], JsonObject]) -> Callable[[Vote], Spoil]:
    """The server keeps something else as evidence against a trustee, and the tally names it."""

    def spoil(vote: Vote) -> Spoil:
        kept: list[JsonObject] = []

        def take(entries: Entries) -> Entries:
            kept.append(change(vote, entries[1]))
            return entries

        def name(value: JsonObject) -> JsonObject:
            vote.meeting.evidence = kept
            return {**value, "rejected": [tally.rejected_json(one) for one in kept]}

        return {"box": take, "core": name}

    return spoil


def castings(*options: Sequence[int], by: int = 0) -> Change:
    """The chair, or another member, gives these casting votes on the first question."""

    def change(vote: Vote, entries: Entries) -> Entries:
        closing = unb64u(next(one["closing"] for one in entries if one["type"] == "intent"))
        seed = vote.meeting.persons[by].cosigner
        made = [board.casting_entry(vote.manifest.hash, closing, 0, one, seed) for one in options]
        return [*(one for one in entries if one["type"] != "casting"), *made]

    return change


def signed_by(*trustees: int) -> Callable[[Vote], Spoil]:
    """These trustees sign the tally, in this order; one beyond the last signs with the first one's key."""

    def spoil(vote: Vote) -> Spoil:
        keys = vote.meeting.trustees

        def change(value: JsonObject) -> JsonObject:
            digest = tally.tally_hash(value["core"])
            made = [{"trustee": one, "sig": b64u(keys[(one - 1) % len(keys)].sign(digest))} for one in trustees]
            return {**value, "signatures": {**value["signatures"], "trustees": made}}

        return {"tally": change}

    return spoil


def tally_without(signer: str) -> Callable[[Vote], Spoil]:
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
