"""Spoiled files, manifests, ledgers, rolls and keys: each with the check that must be the first to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.voting import forging as f
from tests.voting import forging_people as p
from tests.voting.record import Record
from tests.voting.scenario import MEETING, Meeting
from tests.voting.spoiling import (
    AT,
    BOARD,
    FOLDER,
    Edit,
    Files,
    again,
    drop,
    edit,
    encoded,
    flip,
    full,
    hold,
    in_manifest,
    put,
    swap,
)

from folkmoot_voting import destruction
from folkmoot_voting.encoding import JsonObject, b64u

Mutation = tuple[str, Callable[[], Record], str]


def _spaced(files: Files, _annex: JsonObject) -> None:
    files["keygen.json"] = json.dumps(files["keygen.json"]).encode()


def _unended(files: Files, _annex: JsonObject) -> None:
    files[BOARD] = encoded(BOARD, files[BOARD])[:-1]


def _doubled_key(files: Files, _annex: JsonObject) -> None:
    files["destroyed.json"] = b'{"meeting":"meeting-1","meeting":"meeting-1","statements":[],"v":1}'


def _float(files: Files, _annex: JsonObject) -> None:
    files["destroyed.json"] = b'{"meeting":"meeting-1","statements":[],"v":1.0}'


def _in_bytes(name: str, old: bytes, new: bytes) -> Edit:
    """Replace bytes of a file once."""

    def change(files: Files, _annex: JsonObject) -> None:
        files[name] = encoded(name, files[name]).replace(old, new, 1)

    return change


def _after_the_end(files: Files, _annex: JsonObject) -> None:
    files["bundle.json"] = encoded("bundle.json", files["bundle.json"]) + b" "


def _long_note(files: Files, _annex: JsonObject) -> None:
    files[FOLDER + "final.txt"] += "x" * 16_384


def _many_rejected(files: Files, _annex: JsonObject) -> None:
    files[FOLDER + "rejected.jsonl"] = [files[BOARD][-2]] * 101


FORM: list[Mutation] = [
    ("surplus file", edit(put("notes.txt", "hello")), "V01"),
    ("spaces in JSON", edit(_spaced), "V01"),
    ("a key twice", edit(_doubled_key), "V01"),
    ("a float", edit(_float), "V01"),
    ("space after the end", edit(_after_the_end), "V01"),
    ("last line without line feed", edit(_unended), "V01"),
    ("empty line on the board",
     edit(lambda files, _: files.update({BOARD: encoded(BOARD, files[BOARD]) + b"\n"})), "V01"),
    ("text not in NFC", edit(_in_bytes("bundle.json", b"Spring", "Spre\u0301ng".encode())), "V01"),
    ("control character", edit(put("bundle.json|meeting|title", "a\x07b")), "V01"),
    ("unknown field in the roll", edit(put("roll.json|core|note", "x")), "V01"),
    ("missing field in a ballot", edit(drop(f"{BOARD}|1|ballot|prev")), "V01"),
    ("unknown field in a ballot", edit(put(f"{BOARD}|2|ballot|note", 1)), "V01"),
    ("short key in a ballot", edit(put(f"{BOARD}|1|ballot|credential", "AAAA")), "V01"),
    ("padding in a signature", edit(put(f"{BOARD}|1|ballot|sig", lambda sig: sig + "==")), "V01"),
    ("trailing bits in a key", edit(put(f"{BOARD}|1|ballot|credential", lambda key: key[:-1] + "B")), "V01"),
    ("negative weight", edit(put(f"{BOARD}|1|ballot|weight", -1)), "V01"),
    ("number beyond 2^53",
     edit(_in_bytes(f"{FOLDER}tally.json", b'"counted_at":1800000', b'"counted_at":18000000000000')), "V01"),
    ("boolean for a number", edit(put(f"{FOLDER}tally.json|core|cast", True)), "V01"),
    ("text for a list", edit(put(f"{FOLDER}tally.json|core|counts", "none")), "V01"),
    ("unknown entry on the board", edit(put(f"{BOARD}|1|type", "paper")), "V01"),
    ("trustee 10", edit(put(f"{BOARD}|7|trustee", 10)), "V01"),
    ("long checkpoint", edit(_long_note), "V01"),
    ("many rejected shares", edit(_many_rejected), "V01"),
    ("rejected line is no share",
     edit(lambda files, _: files.update({FOLDER + "rejected.jsonl": files[BOARD][1:2]})), "V01"),
    ("an election listed twice", edit(again("bundle.json|elections", 0)), "V01"),
    ("unknown field in the electorate", edit(put(f"{FOLDER}electorate.json|0|note", "x")), "V01"),
    ("electorate is no list", edit(put(f"{FOLDER}electorate.json", {})), "V01"),
    ("unknown field in a destruction", edit(put("destroyed.json|statements|0|note", 1), full), "V01"),
    ("lone surrogate", edit(_in_bytes("bundle.json", b"Spring", b"\\ud800")), "V01"),
    ("escaped for no reason", edit(_in_bytes("bundle.json", b"Spring", b"\\u0053pring")), "V01"),
    ("deep JSON", edit(_in_bytes("bundle.json", b'"Spring meeting"', b"[" * 5000 + b"]" * 5000)), "V01"),
    ("not UTF-8", edit(_in_bytes("bundle.json", b"Spring", b"\xff\xfe")), "V01"),
    ("unknown field in the annex", edit(put("annex|note", "x")), "V01"),
    ("missing list in the annex", edit(drop("annex|exclusions")), "V01"),
    ("officers three", edit(put("annex|roll|6|exception|officers", ["A", "B", "C"])), "V01"),
    ("weight 0 on the roll", edit(put("annex|roll|1|weight", 0)), "V01"),
    ("check-in without salt", edit(drop("annex|checkins|2|salt")), "V01"),
]  # fmt: skip

MANIFESTS: list[Mutation] = [
    ("other protocol", edit(in_manifest("protocol", "fm2")), "V02"),
    ("protocol of the bundle", edit(put("bundle.json|protocol", "fm2")), "V02"),
    ("secrecy by the server", edit(in_manifest("secrecy", "server")), "V02"),
    ("unknown rule for voting again", edit(in_manifest("voting_again", "always")), "V02"),
    ("three cosigners are enough", edit(in_manifest("cosign_quorum", 3)), "V02"),
    ("no chair among the cosigners", edit(in_manifest("cosigners|0|name", "guest")), "V02"),
    ("two cosigners share a key", edit(lambda files, _: _same_key(files)), "V02"),
    ("two electors", edit(in_manifest("electorate_size", 2)), "V02"),
    ("more excluded than present", edit(in_manifest("excluded", 2)), "V02"),
    ("least electorate of two", edit(in_manifest("least_electorate", 2)), "V02"),
    ("trustees' key is the identity", edit(in_manifest("trustees|key", b64u(bytes(32)))), "V02"),
    ("trustees' key is no point", edit(in_manifest("trustees|key", b64u(b"\x01" + bytes(31)))), "V02"),
    ("threshold of one", edit(in_manifest("trustees|threshold", 1)), "V02"),
    ("trustees in a roll-call", edit(in_manifest("trustees|count", 3, "roll-call"), full), "V02"),
    ("other server key", edit(put("bundle.json|server_key", b64u(bytes(32)))), "V02"),
    ("other meeting", edit(put("bundle.json|meeting|id", "meeting-2")), "V02"),
    ("other organisation", edit(put("bundle.json|organisation|name", "Others")), "V02"),
    ("rehearsal passed off as a meeting",
     edit(put("bundle.json|meeting|rehearsal", False), lambda: _rehearsal()), "V02"),
    ("meeting passed off as a rehearsal", edit(in_manifest("rehearsal", True)), "V02"),
    ("other origin of the board", edit(in_manifest("board|origin", "localhost/x/y")), "V02"),
    ("other origin of the ledger", edit(put("ledger.json|origin", "localhost/x")), "V02"),
    ("annex of another meeting", edit(put("annex|meeting", "meeting-2")), "V02"),
    ("destruction of another meeting", edit(put("destroyed.json|meeting", "meeting-2")), "V02"),
    ("board without a manifest", edit(drop(f"{BOARD}|0")), "V02"),
    ("key made in attempt 21", edit(put("keygen.json|attempt", 21)), "V02"),
    ("half a key", edit(put("keygen.json|messages", [])), "V02"),
    ("quorum beyond one", edit(in_manifest("rules|quorum|num", 3)), "V02"),
    ("unknown majority", edit(in_manifest("rules|majority|kind", "most")), "V02"),
    ("unknown tie", edit(in_manifest("rules|tie", "lot")), "V02"),
    ("closes before it opens", edit(in_manifest("closes_at", 5)), "V02"),
    ("no time left", edit(in_manifest("time_limit", 5)), "V02"),
    ("yes/no without abstain", edit(in_manifest("questions|0|options", ["yes", "no"])), "V02"),
    ("m of n from more than to", edit(in_manifest("questions|2|min", 4, "all-types"), full), "V02"),
    ("seats for all", edit(in_manifest("questions|3|seats", 4, "all-types"), full), "V02"),
    ("blank in an approval", edit(in_manifest("questions|4|blank", True, "all-types"), full), "V02"),
    ("eleven points", edit(in_manifest("questions|5|score", 11, "all-types"), full), "V02"),
    ("more ranks than options", edit(in_manifest("questions|6|ranks", 4, "all-types"), full), "V02"),
    ("score with an absolute majority",
     edit(in_manifest("rules|majority|kind", "absolute", "all-types"), full), "V02"),
    ("casting vote with an absolute majority",
     edit(in_manifest("rules|majority|kind", "absolute", "tie"), full), "V02"),
]  # fmt: skip


def _same_key(files: Files) -> None:
    cosigners = files[BOARD][0]["manifest"]["cosigners"]
    cosigners[1]["key"] = cosigners[0]["key"]


def _rehearsal() -> Record:
    return hold(rehearsal=True)()


def _destroyed_early() -> Record:
    return hold(challenge_s=86_400, after=lambda meeting: meeting.destroy_shares(AT + 3600))()


def _destroyed(**how: Any) -> Callable[[], Record]:
    """Hold a vote whose shares are destroyed in time."""
    return hold(challenge_s=60, after=lambda meeting: meeting.destroy_shares(AT + 3600), **how)


def _other_destruction() -> Record:
    def after(meeting: Meeting) -> None:
        one = meeting.trustees[0]
        made = destruction.make_statement(MEETING[0], 1, 1, bytes(32), AT + 3600, one.seed)
        meeting.destroyed.append(made)
        meeting.record("destroyed", AT + 3600, bytes(32))

    return hold(challenge_s=60, after=after)()


def _unrecorded_destruction() -> Record:
    def after(meeting: Meeting) -> None:
        meeting.destroyed.append(meeting.trustees[0].destroyed(meeting.key.transcript, AT + 3600))
        meeting.record("destroyed", AT + 3600, bytes(32))

    return hold(challenge_s=60, after=after)()


LEDGER: list[Mutation] = [
    ("changed ledger leaf", edit(put("ledger.json|leaves|0", flip)), "V03"),
    ("dropped ledger leaf", edit(drop("ledger.json|leaves|9")), "V03"),
    ("ledger signed by another key", edit(p.resigned_by_other("ledger.json|checkpoint")), "V03"),
    ("ledger's checkpoint is no note", edit(put("ledger.json|checkpoint", "hello\n")), "V03"),
    ("tally missing from the ledger", edit(drop("ledger.json|entries|4")), "V04"),
    ("surplus opening in the ledger", edit(lambda files, _: _another_opening(files)), "V04"),
    ("ledger out of order", hold(after=p.ledger_out_of_order), "V04"),
    ("other date of a ledger entry", edit(put("ledger.json|entries|0|entry|at", 1)), "V04"),
    ("ledger index beyond the ledger", edit(put("ledger.json|entries|4|index", 10**9)), "V04"),
    ("elections in another order", edit(swap("bundle.json|elections", 0, 1), full), "V04"),
    ("tally of the annex changed", edit(put(f"{FOLDER}tally.json|core|counted_at", AT + 106)), "V04"),
    ("destruction told twice", edit(again("destroyed.json|statements", 0), full), "V04"),
    ("destruction not in the ledger", edit(drop("destroyed.json|statements|0"), _destroyed()), "V04"),
    ("other date of the roll", edit(put("roll.json|core|frozen_at", 1)), "V05"),
    ("registrar's signature", edit(put("roll.json|assertion|signature", flip)), "V05"),
    ("registrar's nonce", edit(put("roll.json|nonce", flip)), "V05"),
    ("registrar's key", edit(put("roll.json|core|registrar|key", flip)), "V05"),
    ("weight of the roll", edit(put("roll.json|core|weight", 8)), "V05"),
    ("destroyed before the challenge period was over", _destroyed_early, "V31"),
    ("destruction unsigned", edit(put("destroyed.json|statements|1|sig", flip), _destroyed()), "V31"),
    ("destructions out of order", edit(swap("destroyed.json|statements", 0, 1), _destroyed()), "V31"),
    ("destruction of another key", _other_destruction, "V31"),
    ("destruction other than the ledger's", _unrecorded_destruction, "V31"),
    ("destruction of another attempt", edit(put("destroyed.json|statements|2|attempt", 2), _destroyed()), "V31"),
]  # fmt: skip


def _another_opening(files: Files) -> None:
    # Every second leaf of the ledger is an entry of another meeting; its text is not known, so one is repeated.
    files["ledger.json"]["entries"].insert(3, {**files["ledger.json"]["entries"][2], "index": 6})


KEYS: list[Mutation] = [
    ("unsigned key message", edit(put("keygen.json|messages|3|sig", flip)), "V06"),
    ("key messages out of order", edit(swap("keygen.json|messages", 0, 1)), "V06"),
    ("missing key message", edit(drop("keygen.json|messages|17")), "V06"),
    ("key message twice", edit(again("keygen.json|messages", 17)), "V06"),
    ("register of another roll", edit(p.keygen_message("register", 1, "roll", to=flip)), "V06"),
    ("commitment not kept", edit(p.keygen_message("commit", 2, "hash", to=flip)), "V06"),
    ("salt not the one of the register", edit(p.keygen_message("salt", 2, "salt", to=flip)), "V06"),
    ("message of another attempt", edit(p.keygen_message("shares", 3, "attempt", to=lambda _: 2)), "V06"),
    ("all of another attempt", edit(put("keygen.json|attempt", 2)), "V06"),
    ("short box", edit(p.keygen_message("shares", 2, "boxes", 0, to=lambda box: box[:-4])), "V06"),
    ("box for oneself", edit(p.keygen_message("shares", 1, "boxes", 0, to=lambda _: b64u(bytes(48)))), "V06"),
    ("proof of possession", edit(p.keygen_message("reveal", 1, "pop", "z", to=f.more)), "V07"),
    ("commitment of the proof of possession",
     edit(p.keygen_message("reveal", 2, "pop", "r", to=f.other_point)), "V07"),
    ("certified another key", edit(p.keygen_message("certify", 3, "key", to=f.other_point)), "V07"),
    ("certified another verification key",
     edit(p.keygen_message("certify", 1, "verification_keys", 1, to=f.other_point)), "V07"),
    ("changed box", edit(p.keygen_message("shares", 1, "boxes", 1, to=flip)), "V07"),
    ("a plain vote beside another key", edit(p.keygen_message("certify", 2, "transcript", to=flip)), "V07"),
]  # fmt: skip

MEETING_MUTATIONS: list[Mutation] = [*FORM, *MANIFESTS, *LEDGER, *KEYS]
