"""Elections of a meeting in software: `open_vote`, then cast, audit and replace, then `finish`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.voting.scenario import FIRST, ORGANISATION, SIMPLE, Meeting, Person

from folkmoot_voting import attendance, ballot, board, casting, electorate, manifest, merkle_log, signing, tally
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.lineages import Lineages, Voids, take
from folkmoot_voting.manifest import Manifest, Rules
from folkmoot_voting.questions import Question, approval, borda, m_of_n, multi_seat, one_of_n, score, yes_no_abstain
from folkmoot_voting.rules import too_few
from folkmoot_voting.tally import Aggregate, BoardNumbers

Choices = Sequence[Sequence[int]]

EVERY_TYPE = [
    yes_no_abstain("Thông qua ngân sách?"),
    one_of_n("Treasurer", ["An", "Bình", "Chi"]),
    m_of_n("Which parks?", ["North", "South", "East", "West"], 1, 3, blank=True, seats=2),
    multi_seat("Board", ["An", "Bình", "Chi", "Đức"], 2, blank=True),
    approval("Dates", ["May", "June", "July"]),
    score("Proposals", ["Red", "Green"], 4),
    borda("Order of talks", ["One", "Two", "Three"], 2),
]
EVERY_CHOICE: list[list[list[int]]] = [
    [[1, 0, 0], [0, 1, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1], [4, 0], [0, 1, 1, 0, 0, 0]],
    [[0, 1, 0], [1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0], [0, 3], [1, 0, 0, 1, 0, 0]],
    [[0, 0, 1], [0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 0], [1, 1, 1], [2, 2], [0, 0, 0, 1, 1, 0]],
]


@dataclass
class Election:
    """One finished election."""

    manifest: Manifest
    electorate: list[JsonObject]
    ballots: list[JsonObject]
    entries: list[JsonObject]
    rejected: list[JsonObject]
    opening: str
    closing: str
    final: str
    tally: JsonObject
    aggregate: Aggregate | None


@dataclass
class Vote:
    """An open election."""

    meeting: Meeting
    manifest: Manifest
    electorate: list[JsonObject]
    at: int
    lineages: Lineages
    voids: Voids
    mark: JsonObject
    entries: list[JsonObject] = field(default_factory=list)
    devices: dict[str, bytes] = field(default_factory=dict)

    def device(self, person: Person) -> bytes:
        """Return the seed of the person's current credential in this election."""
        return self.devices.get(person.member, person.credential)

    def place(self, person: Person) -> casting.Place:
        """Return where the person's next ballot stands."""
        line = self.lineages.current(signing.public_key(self.device(person)))
        return casting.Place(line.weight, line.seq + 1, line.prev)

    def cast(self, person: Person, choices: Choices) -> JsonObject:
        """Seal, check and publish a ballot."""
        made = casting.make_ballot(self.manifest, self.device(person), choices, self.meeting.rng, self.place(person))
        checked = ballot.check_ballot(self.manifest, Ballot.from_json(made))
        self._take(board.ballot_entry(made), checked.leaf)
        return made

    def audit(self, person: Person, choices: Choices) -> tuple[JsonObject, JsonObject]:
        """Seal a ballot, make it void, and return the void entry and the opening for a second device."""
        device, seed = self.device(person), self.meeting.rng(32)
        draws = casting.SeededDraws(seed)
        sealed = casting.seal(self.manifest, signing.public_key(device), choices, draws, self.place(person))
        entry = casting.make_void(self.manifest, device, sealed)
        self._take(entry)
        return entry, casting.make_opening(sealed, seed, choices)

    def replace(self, person: Person, *, kiosk: bool = False) -> JsonObject:
        """Let a new device take over."""
        device = self.meeting.rng(32)
        keys = (signing.public_key(self.device(person)), signing.public_key(device))
        digest = self.meeting.replacement(self.manifest.hash, self.manifest.election, person, keys, kiosk=kiosk)
        entry = board.replacement_entry(*keys, digest, kiosk=kiosk)
        self._take(entry)
        self.devices[person.member] = device
        return entry

    def _take(self, entry: JsonObject, leaf: bytes = b"") -> None:
        take(self.lineages, self.voids, entry, leaf)
        self.entries.append(entry)

    def finish(
        self,
        spoil: Mapping[str, Callable[[Any], Any]] | None = None,
        *,
        castings: Mapping[int, Sequence[int]] | None = None,
        rejected: Sequence[int] = (),
        halls: Sequence[JsonObject] = (),
    ) -> Election:
        """Close, cosign, count and sign.

        `spoil` changes what a dishonest server or trustee would: "board" (entries before closing), "numbers" (the
        closing entry), "closing" (note with cosignatures), "box" (intents, shares and castings), "core", "tally",
        "hash" (what the board records of the tally), "opening mark" and "closing mark" (of the
        attendance log).
        `castings` are options by question; `rejected` are trustees whose first share is proved wrongly; `halls` the
        server's word.
        """
        touch, opened, at = spoil or {}, self.manifest, self.at
        entries = [board.opening_entry(opened.json)]
        opening = self._checkpoint(entries)
        self.meeting.record("opened", at, opening.checkpoint.hash())
        self.meeting.sign_mark(touch.get("opening mark", _same)(self.mark), at)
        entries += touch.get("board", _same)(self.entries)
        numbers = BoardNumbers.of(self.lineages)
        closing_entry = board.closing_entry(
            ballots=numbers.ballots, cast=numbers.cast, ended=max(at + 60, opened.closes_at), at=self.closed_at
        )
        entries.append(touch.get("numbers", _same)(closing_entry))
        closing = self._checkpoint(entries)
        for name, person in self.meeting.cosigners()[: opened.cosign_quorum]:
            line = merkle_log.cosign(closing.checkpoint, name, person.cosigner, self.closed_at + 10)
            closing = closing.with_signature(line)
        closing = touch.get("closing", _same)(closing)
        head = closing.checkpoint.hash()
        self.meeting.record("closed", self.closed_at, head)
        mark = self.meeting.make_mark(opened, attendance.CLOSING)
        self.meeting.sign_mark(touch.get("closing mark", _same)(mark), self.closed_at)
        total, counts, box, evidence = self._open_box(numbers, head, rejected)
        chair = self.meeting.persons[0].cosigner
        for question, options in (castings or {}).items():
            box.append(board.casting_entry(opened.hash, head, question, options, chair))
        entries += touch.get("box", _same)(box)
        core = tally.make_core(
            opened,
            closing=head,
            total=total,
            numbers=numbers,
            counts=counts,
            counted_at=self.closed_at + 30,
            rejected=evidence,
            castings=castings,
            halls=halls,
        )
        core = touch.get("core", _same)(core)
        digest = tally.tally_hash(core)
        signed = touch.get("tally", _same)(self.sign_tally(core))
        entries.append(board.tally_entry(touch.get("hash", _same)(digest)))
        final = self._checkpoint(entries)
        self.meeting.record("tally", self.closed_at + 30, digest)
        ballots = [entry["ballot"] for entry in self.entries if entry["type"] == "ballot"]
        texts = (opening.text(), closing.text(), final.text())
        made = Election(opened, self.electorate, ballots, entries, evidence, *texts, signed, total)
        self.meeting.elections.append(made)
        return made

    @property
    def closed_at(self) -> int:
        """The time of the closing entry."""
        return max(self.at + 60, self.manifest.closes_at) + self.manifest.grace_s

    def counted(self) -> list[JsonObject]:
        """Return the ballots that count, in the board's order."""
        leaves = self.lineages.counted()
        ballots = [entry["ballot"] for entry in self.entries if entry["type"] == "ballot"]
        return [one for one in ballots if ballot.ballot_leaf(one) in leaves]

    def sign_tally(self, core: JsonObject) -> JsonObject:
        """Return tally.json."""
        digest = tally.tally_hash(core)
        signers = self.meeting.trustees[-self.meeting.threshold :] if core["aggregate"] else []
        return tally.make_tally(
            core,
            server=signing.sign(self.meeting.server, digest),
            chair=signing.sign(self.meeting.persons[0].cosigner, digest),
            trustees={one.index: one.sign(digest) for one in signers},
        )

    def aggregate(self) -> Aggregate:
        """Return the sums over the counted ballots."""
        parsed = [Ballot.from_json(one) for one in self.counted()]
        return tally.aggregate(
            self.manifest, [(one.weight, ballot.decode_answers(self.manifest, one)) for one in parsed]
        )

    def _checkpoint(self, entries: list[JsonObject]) -> merkle_log.Note:
        leaves = board.entry_leaves(entries)
        head = merkle_log.Checkpoint(self.manifest.board_origin, len(leaves), merkle_log.tree_hash(leaves))
        return merkle_log.sign_checkpoint(head, self.meeting.server)

    def _open_box(
        self, numbers: BoardNumbers, closing: bytes, wrong: Sequence[int]
    ) -> tuple[Aggregate | None, list[list[int]], list[JsonObject], list[JsonObject]]:
        opened, meeting = self.manifest, self.meeting
        if not opened.secret:
            parsed = [Ballot.from_json(one) for one in self.counted()]
            values = [(one.weight, ballot.decode_values(opened, one)) for one in parsed]
            return None, tally.plain_counts(opened, values), [], []
        if too_few(opened, numbers.cast):
            return None, [], [], []
        total = self.aggregate()
        assert meeting.keygen is not None
        entries: list[JsonObject] = []
        evidence: list[JsonObject] = []
        shares = {}
        for one in meeting.trustees[-meeting.threshold :]:
            entries.append(board.intent_entry(one.index, opened.hash, closing, total.hash, one.seed))
            secret = one.secret_share(meeting.keygen)
            parts = tally.partial_decrypt(opened, total, one.index, secret, meeting.rng)
            if one.index in wrong:
                bad = [[{**part, "z": part["u"][:-1] + "A"} for part in row] for row in parts]
                evidence.append(board.share_entry(one.index, opened.hash, total.hash, bad, one.seed))
            entries.append(board.share_entry(one.index, opened.hash, total.hash, parts, one.seed))
            shares[one.index] = parts
        counts = tally.combine(opened, total, shares, numbers.cast_weight)
        return total, counts, entries, evidence


def open_vote(
    meeting: Meeting,
    name: str,
    questions: Sequence[Question],
    rules: Rules = SIMPLE,
    at: int = FIRST + 600,
    *,
    excluded: Sequence[str] = (),
    **options: Any,
) -> Vote:
    """Open an election over the members present; `excluded` are members, `options` those of build_manifest."""
    secrecy = options.get("secrecy", manifest.SECRET)
    present = meeting.present()
    electors = [person for person in present if person.member not in excluded]
    listed = electorate.make_electorate(
        electorate.Elector(person.first, person.weight, person.name if secrecy == manifest.ROLL_CALL else "")
        for person in electors
    )
    firsts = {b64u(person.first) for person in electors}
    for record in meeting.checkins:
        if record["credential"] in firsts:
            record["elections"].append(name)
    meeting.exclusions += [{"election": name, "member": one, "reason": "own contract"} for one in excluded]
    earlier = [
        electorate.EarlierVote(one.manifest.election, one.manifest.questions, one.lineages.firsts)
        for one in meeting.votes
        if one.manifest.secret
    ]
    least = options.get("least_electorate", manifest.DEFAULT_LEAST_ELECTORATE)
    keys = [person.first for person in electors]
    repeats = electorate.find_repeats(questions, keys, least, earlier) if secrecy == manifest.SECRET else []
    opened = manifest.build_manifest(
        organisation=ORGANISATION,
        election=name,
        title="Vote " + name,
        questions=questions,
        rules=rules,
        roll=meeting.roll,
        present=len(present),
        present_weight=sum(person.weight for person in present),
        excluded=len(excluded),
        repeats=repeats,
        electorate=listed,
        trustees=meeting.key,
        cosigners=[(role, signing.public_key(person.cosigner)) for role, person in meeting.cosigners()],
        server_key=signing.public_key(meeting.server),
        opened_at=at,
        grace_s=15,
        time_limit=at + 86_400,
        **options,
    )
    folded = Lineages(opened, electorate.parse_electorate(listed))
    mark = meeting.make_mark(opened, attendance.OPENING)
    vote = Vote(meeting, opened, listed, at, folded, Voids(opened), mark)
    meeting.votes.append(vote)
    return vote


def hold(
    meeting: Meeting,
    name: str,
    questions: Sequence[Question],
    choices: Sequence[Choices],
    rules: Rules = SIMPLE,
    at: int = FIRST + 600,
    **options: Any,
) -> Election:
    """Hold one election; choices are those of the first members present, the others do not vote."""
    vote = open_vote(meeting, name, questions, rules, at, **options)
    for person, choice in zip(meeting.present(), choices, strict=False):
        vote.cast(person, choice)
    return vote.finish()


def _same(value: Any) -> Any:
    return value


def come_and_go(meeting: Meeting) -> None:
    """Everything that an attendance log tells; all are back in the end."""
    lost, moved, left = meeting.present()[:3]
    meeting.depart(lost, "lost")
    meeting.depart(moved, "moved")
    meeting.arrive(meeting.checkins[1], "hall-1")
    meeting.come_back(lost)
    meeting.come_back(lost)
    meeting.depart(left, "left")
    meeting.arrive(meeting.checkins[2])
    meeting.arrive(meeting.checkins[2])


def small_meeting() -> Meeting:
    """Seven members, six present, three elections: yes/no/abstain, two questions, too few."""
    meeting = Meeting()
    meeting.check_in_all(6)
    yes, no, abstain = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    hold(meeting, "vote-1", [yes_no_abstain("Thông qua ngân sách?")], [[yes], [yes], [no], [yes], [abstain]])
    come_and_go(meeting)
    one = [[int(index == wanted) for index in range(4)] for wanted in range(4)]
    hold(
        meeting,
        "vote-2",
        [one_of_n("Treasurer", ["An", "Bình", "Chi", "nobody"]), yes_no_abstain("Accept the report?")],
        [[one[1], yes], [one[1], no], [one[0], yes], [one[1], abstain], [one[3], yes], [one[2], no]],
        Rules(2, 3, "absolute", "roll"),
        FIRST + 1200,
    )
    hold(meeting, "vote-3", [yes_no_abstain("Close early?")], [[yes], [no]], at=FIRST + 1800)
    return meeting


# As a server tells of halls that a vote did not reach.
HALLS = [
    {"site": "hall-1", "name": "Thôn Đông", "state": "late", "ballots": 2},
    {"site": "hall-2", "name": "", "state": "unreachable", "ballots": 0},
]


def full_meeting() -> Meeting:
    """Nine members with weights and every feature of the protocol, in five elections; the shares are destroyed."""
    meeting = Meeting("full", members=9, weights=(1, 1, 1, 1, 3, 3, 3, 1, 1))
    meeting.check_in_all(8)
    people = meeting.present()
    first = open_vote(
        meeting, "all-types", EVERY_TYPE, voting_again="last-counts", kiosk=True, least_electorate=3,
    )  # fmt: skip
    first.audit(people[0], EVERY_CHOICE[1])
    for index, person in enumerate(people[:6]):
        first.cast(person, EVERY_CHOICE[index % 3])
    first.cast(people[1], EVERY_CHOICE[2])
    first.replace(people[2])
    first.cast(people[2], EVERY_CHOICE[0])
    first.replace(people[6], kiosk=True)
    first.cast(people[6], EVERY_CHOICE[1])
    lost = people[3:8]  # a hall whose link fails, and comes back
    for person in lost:
        meeting.depart(person, "cut")
    first.finish(rejected=[3], halls=HALLS)
    for person in lost:
        meeting.come_back(person)
    yes, no, abstain = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    tie = Rules(1, 3, "simple", "decided", "cast", "votes", "casting-vote")
    second = open_vote(
        meeting, "tie", [yes_no_abstain("Sell the hall?")], tie, FIRST + 1200,
        excluded=[people[7].member], least_electorate=3,
    )  # fmt: skip
    for person, choice in zip(people, [yes, no, yes, no, abstain], strict=False):
        second.cast(person, [choice])
    second.finish(castings={0: [0]})
    third = open_vote(meeting, "again", [yes_no_abstain("Sell the hall?")], SIMPLE, FIRST + 1800, least_electorate=3)
    third.cast(people[0], [yes])
    third.finish()
    hold(
        meeting, "roll-call", [multi_seat("Board", ["An", "Bình", "Chi"], 2)],
        [[[1, 1, 0]], [[0, 1, 1]], [[0, 0, 0]]], SIMPLE, FIRST + 2400, secrecy="roll-call",
    )  # fmt: skip
    hold(
        meeting, "open", [borda("Name", ["A", "B", "C"], 3), score("Cost", ["Low", "High"], 10)],
        [[[1, 0, 0, 0, 1, 0, 0, 0, 1], [10, 0]], [[0, 1, 0, 1, 0, 0, 0, 0, 1], [3, 7]]],
        SIMPLE, FIRST + 3000, secrecy="open", closes_at=FIRST + 3300,
    )  # fmt: skip
    meeting.destroy_shares(FIRST + 3300 + 31 * 86_400)
    return meeting
