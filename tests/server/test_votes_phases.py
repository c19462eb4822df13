"""The election machine over HTTP: every command in every phase; what a phase does not allow changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from tests.server import votes_support as support
from tests.server.votes_support import NO, YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.domain.elections import NEXT, Phase, Verb
from folkmoot_voting import board, casting, merkle_log, signing, tally
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import b64u
from folkmoot_voting.manifest import Manifest

# Each command, the verb that it stands for, and how it is refused in a phase that does not have the verb.
WRONG, NOT_OPEN = (409, "election.wrong-state"), (409, "ballot.election-not-open")
COMMANDS: dict[str, tuple[Verb, tuple[int, str]]] = {
    "exclusions": (Verb.EXCLUDE, WRONG),
    "preview": (Verb.OPEN, WRONG),
    "open": (Verb.OPEN, WRONG),
    "ballots": (Verb.CAST, NOT_OPEN),
    "seals": (Verb.CAST, NOT_OPEN),
    "voids": (Verb.CAST, NOT_OPEN),
    "replacements": (Verb.CAST, NOT_OPEN),
    "close": (Verb.CLOSE, WRONG),
    "cosignatures": (Verb.COSIGN, WRONG),
    "intents": (Verb.POST_INTENT, WRONG),
    "shares": (Verb.POST_SHARE, WRONG),
    "casting": (Verb.DECIDE, WRONG),
    "tally/signatures": (Verb.SIGN, WRONG),
}


class Machine:
    """One election with a tie, and a good body for every command as far as one can be made in its phase."""

    def __init__(self, hall: Hall, ready: support.Ready, election: str) -> None:
        self.hall, self.ready, self.election = hall, ready, election
        self.manifest: Manifest | None = None
        self.closing, self.total = bytes(32), tally.Aggregate((), bytes(32))
        self.line = "x"
        self.seen: set[tuple[Phase, Verb]] = set()

    def path(self, rest: str) -> str:
        return self.hall.election_path(self.election, "/" + rest)

    async def body(self, name: str) -> Any:
        """A body that would be right in the phase that has the command."""
        hall, teller, chair = self.hall, self.ready.tellers[0], self.ready.cosigners[0]
        manifest, seed = self.manifest, hall.credentials[hall.chair.member]
        mh = manifest.hash if manifest else bytes(32)
        if name in ("open", "close"):
            return await support.act(hall, hall.chair, self.election, name)
        if name == "replacements":
            new = secrets.token_bytes(32)
            keys = (signing.public_key(seed), signing.public_key(new))
            sign: Callable[[bytes], bytes] = lambda nonce: support.challenges.replacement(mh, *keys, False, nonce)  # noqa: E731
            signed = await hall.chair.signed("replace", sign)
            return {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": False, **signed}
        intent = board.intent_entry(1, mh, self.closing, self.total.hash, teller.trustee.seed)
        parts = [] if not self.total.pairs else support.share(teller, manifest, self.total)["parts"]  # type: ignore[arg-type]
        share = board.share_entry(1, mh, self.total.hash, parts, teller.trustee.seed)
        sealed = self._sealed(seed)
        bodies: dict[str, Any] = {
            "exclusions": {"member": hall.plain.member, "excluded": True, "reason": "own contract"},
            "preview": None,
            "ballots": {"ballot": casting.sign_ballot(sealed, seed)},
            "seals": self._announcement(seed, sealed_hash(sealed)),
            "voids": {"entry": self._void(seed, sealed)},
            "cosignatures": {"line": self.line},
            "intents": {"entry": intent},
            "shares": {"entry": share},
            "casting": {"entry": board.casting_entry(mh, self.closing, 0, [1], chair.seed)},
            "tally/signatures": {"signer": "chair", "trustee": 0, "sig": b64u(bytes(64))},
        }
        return bodies[name]

    def _announcement(self, seed: bytes, sealed: bytes) -> dict[str, Any]:
        if self.manifest is None:
            return {"credential": b64u(signing.public_key(seed)), "sealed": b64u(sealed), "sig": b64u(bytes(64))}
        return casting.make_announcement(self.manifest, seed, sealed)

    def _sealed(self, seed: bytes) -> dict[str, Any]:
        if self.manifest is None:
            return {
                "v": 1, "manifest": b64u(bytes(32)), "credential": b64u(signing.public_key(seed)),
                "weight": 1, "seq": 1, "prev": "", "choices": [],
            }  # fmt: skip
        key = signing.public_key(seed)
        return casting.seal(self.manifest, key, support.cells(self.manifest, YES), secrets.token_bytes)

    def _void(self, seed: bytes, sealed: dict[str, Any]) -> dict[str, Any]:
        digest = sealed_hash(sealed)
        mh = self.manifest.hash if self.manifest else bytes(32)
        entry = {"type": "void", "credential": sealed["credential"], "sealed": b64u(digest)}
        return {**entry, "sig": b64u(signing.sign(seed, casting.void_hash(mh, digest)))}

    async def probe(self, phase: Phase) -> None:
        """Offer every command that this phase does not have; each is refused and nothing changes."""
        view = (await self.hall.view(self.hall.chair))["elections"][-1]
        assert view["state"] == phase.value
        for name, (verb, refusal) in COMMANDS.items():
            self.seen.add((phase, verb))
            if (phase, verb) in NEXT:
                continue
            person = self.ready.tellers[0].person if name in ("intents", "shares") else self.hall.chair
            method = "GET" if name == "preview" else "POST"
            sent = await self.body(name)
            before = support.fingerprint(self.hall)
            answer = await support.refusal(person, self.path(name), sent, method)
            expected = {refusal}
            if phase is Phase.DRAFT:  # there is no manifest yet, and nobody in it
                expected |= {(404, "election.not-opened"), (422, "ballot.not-elector")}
            assert answer in expected, (phase, name, answer)
            assert support.fingerprint(self.hall) == before, (phase, name)


async def test_every_command_in_every_phase(hall: Hall) -> None:
    ready = await support.prepare(hall)
    machine = Machine(hall, ready, await support.draft(hall, tie="casting-vote"))
    steps: list[tuple[Phase, Callable[[Machine], Awaitable[None]]]] = [
        (Phase.DRAFT, _open),
        (Phase.OPEN, _cast_and_close),
        (Phase.CLOSING, _seal),
        (Phase.CLOSED, _cosign),
        (Phase.COUNTING, _count),
        (Phase.TIED, _decide),
        (Phase.COUNTED, _declare),
        (Phase.DECLARED, _nothing),
    ]
    for phase, step in steps:
        await machine.probe(phase)
        await step(machine)
    phases = {phase for phase, _ in steps}
    assert machine.seen == {(phase, verb) for phase in phases for verb, _ in COMMANDS.values()}


async def test_every_command_in_a_void_election(hall: Hall) -> None:
    ready = await support.prepare(hall)
    machine = Machine(hall, ready, await support.draft(hall))
    await _open(machine)
    assert machine.manifest is not None
    machine.hall.clock.at = machine.manifest.time_limit + 1
    for person in hall.officers:
        await _sign_in(person)
    await hall.settle()
    await machine.probe(Phase.VOID)


async def test_every_command_where_too_few_voted(hall: Hall) -> None:
    ready = await support.prepare(hall)
    machine = Machine(hall, ready, await support.draft(hall))
    await _open(machine)
    assert machine.manifest is not None
    await support.close(hall, machine.election)
    await support.cosign(hall, machine.manifest, ready.cosigners)
    await votes.declare(ready.cosigners[0], hall.meeting, machine.manifest)
    await machine.probe(Phase.TOO_FEW)


async def _open(machine: Machine) -> None:
    machine.manifest = await votes.open_election(machine.hall.chair, machine.hall.meeting, machine.election)


async def _cast_and_close(machine: Machine) -> None:
    hall = machine.hall
    assert machine.manifest is not None
    for person, choice in zip(hall.officers[1:], (YES, NO, YES, NO), strict=True):
        await support.send(hall, person, support.seal(hall, person, machine.manifest, choice))
    await hall.chair.act(machine.path("close"), support.step_up("close-election", hall, machine.election))


async def _seal(machine: Machine) -> None:
    await machine.hall.settle(machine.hall.settings.closing_grace_s + 1)
    assert machine.manifest is not None
    machine.total, closing = await support.own_aggregate(machine.hall, machine.manifest)
    machine.closing = closing.hash()
    chair = machine.ready.cosigners[0]
    machine.line = str(merkle_log.cosign(closing, "chair", chair.seed, machine.hall.clock()))


async def _cosign(machine: Machine) -> None:
    assert machine.manifest is not None
    await support.cosign(machine.hall, machine.manifest, machine.ready.cosigners)


async def _count(machine: Machine) -> None:
    assert machine.manifest is not None
    for teller in machine.ready.tellers[1:]:
        intent = support.intent(teller, machine.manifest, machine.closing, machine.total.hash)
        await teller.person.post(machine.path("intents"), {"entry": intent})
        share = support.share(teller, machine.manifest, machine.total)
        await teller.person.post(machine.path("shares"), {"entry": share})


async def _decide(machine: Machine) -> None:
    assert machine.manifest is not None
    seed = machine.ready.cosigners[0].seed
    entry = board.casting_entry(machine.manifest.hash, machine.closing, 0, [0], seed)
    await machine.hall.chair.post(machine.path("casting"), {"entry": entry})


async def _declare(machine: Machine) -> None:
    hall, manifest = machine.hall, machine.manifest
    assert manifest is not None
    for teller in machine.ready.tellers[1:]:
        index, seed = teller.trustee.index, teller.trustee.seed
        assert await support.sign_tally(hall, manifest, teller.person, seed, index) == (200, "accepted")
    await votes.declare(machine.ready.cosigners[0], hall.meeting, manifest)


async def _nothing(_machine: Machine) -> None:
    """The end."""


async def _sign_in(person: Any) -> None:
    begun = await person.post("/api/sign-in/begin")
    challenge = support.challenges.sign_in(begun["rp_id"], support.unb64u(begun["nonce"]))
    credential = person.authenticator.authenticate(challenge)
    await person.post("/api/sign-in/finish", {"nonce": begun["nonce"], "credential": credential})
