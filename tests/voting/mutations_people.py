"""Spoiled annexes, and meetings that only the annex tells from good ones."""

from __future__ import annotations

from collections.abc import Callable

from tests.voting import forging as f
from tests.voting import forging_people as p
from tests.voting.record import Record
from tests.voting.spoiling import Files, drop, edit, flip, full, hold, put

from folkmoot_voting.encoding import JsonObject, b64u

Mutation = tuple[str, Callable[[], Record], str]


def _second_passkey(_files: Files, annex: JsonObject) -> None:
    annex["roll"][6]["passkeys"] = annex["roll"][5]["passkeys"]


def _other_kiosk(_files: Files, annex: JsonObject) -> None:
    annex["replacements"][1]["kiosk"] = False


def _absent_twice(_files: Files, annex: JsonObject) -> None:
    once = {**annex["checkins"][5], "elections": []}
    annex["checkins"] += [{**once, "credential": b64u(bytes(32))}] * 2


def _absent(_files: Files, annex: JsonObject) -> None:
    annex["checkins"].append({**annex["checkins"][5], "elections": ["later"], "credential": b64u(bytes(32))})


def _exclusion_of(member: str) -> Callable[[], Record]:
    return edit(put("annex|exclusions|0|member", member), full)


ROLL: list[Mutation] = [
    ("other name on the roll", edit(put("annex|roll|0|name", "Somebody")), "V23"),
    ("other weight on the roll", edit(put("annex|roll|0|weight", 2)), "V23"),
    ("entry missing from the roll", edit(drop("annex|roll|6")), "V23"),
    ("roll unsorted", edit(lambda _, annex: annex["roll"].reverse()), "V23"),
    ("passkey added to the roll", edit(_second_passkey), "V23"),
    ("exception hidden", edit(put("annex|roll|6|exception", {"kind": "none", "method": "", "officers": []})), "V23"),
    ("voter's assertion", edit(p.copied_assertion("checkins", 0, 1)), "V24"),
    ("voter's nonce", edit(put("annex|checkins|2|nonce", flip)), "V24"),
    ("voter's site", edit(put("annex|checkins|1|site", "hall-2")), "V24"),
    ("another member's check-in", edit(put("annex|checkins|0|member", "m-006")), "V24"),
    ("check-in of a stranger", edit(put("annex|checkins|0|member", "m-999")), "V24"),
    ("voter's check-in missing", edit(drop("annex|checkins|0")), "V24"),
    ("elector hidden in the annex", edit(put("annex|checkins|5|elections", [])), "V24"),
    ("elector stuffed", hold(opened=f.stuffed_elector), "V24"),
    ("weights exchanged", hold(meeting=p.swapped_weights, least_electorate=3), "V24"),
    ("passkey of another member",
     edit(lambda _, annex: annex["checkins"][0].update(passkey=annex["checkins"][1]["passkey"])), "V24"),
    ("voter's check-in twice", edit(lambda _, annex: annex["checkins"].append(annex["checkins"][0])), "V24"),
    ("non-voter's assertion", edit(p.copied_assertion("checkins", 5, 1)), "V25"),
    ("non-voter's check-in twice", edit(lambda _, annex: annex["checkins"].append(annex["checkins"][5])), "V25"),
    ("check-in of nobody's vote twice", edit(_absent_twice), "V25"),
    ("check-in of nobody's vote", edit(_absent), "V25"),
    ("member with two credentials", hold(meeting=p.second_device), "V25"),
    ("ledger forked for a check-in",
     hold(meeting=p.other_checkpoint(lambda m, leaves: p.ledger_head(m, [*leaves[:-1], bytes(32)]))), "V26"),
    ("check-in before the roll",
     hold(meeting=p.other_checkpoint(lambda m, leaves: p.ledger_head(m, leaves[:1]))), "V26"),
    ("ledger of another key",
     hold(meeting=p.other_checkpoint(lambda m, leaves: p.ledger_head(m, leaves, bytes(32)))), "V26"),
    ("ledger beyond the ledger",
     hold(meeting=p.other_checkpoint(lambda m, leaves: p.ledger_head(m, [*leaves, *[bytes(32)] * 50]))), "V26"),
    ("trustee's assertion", edit(p.copied_assertion("trustees", 0, 1)), "V27"),
    ("trustee's statement missing", edit(drop("annex|trustees|2")), "V27"),
    ("trustee's statement for another key", edit(put("annex|trustees|1|box_key", flip)), "V27"),
    ("one member with two shares", hold(meeting=p.one_member_two_shares), "V27"),
    ("cosigner's assertion", edit(p.copied_assertion("cosigners", 0, 1)), "V28"),
    ("cosigner's statement missing", edit(drop("annex|cosigners|4")), "V28"),
    ("cosigner's statement twice", edit(lambda _, annex: annex["cosigners"].append(annex["cosigners"][0])), "V28"),
    ("one member with two cosignatures", hold(meeting=p.one_member_two_cosigners), "V28"),
]  # fmt: skip

LATER: list[Mutation] = [
    ("replacement without a statement", edit(drop("annex|replacements|0"), full), "V32"),
    ("replacement's salt", edit(put("annex|replacements|0|salt", flip), full), "V32"),
    ("replacement's assertion", edit(p.copied_assertion("replacements", 0, 1), full), "V32"),
    ("replacement of another election", edit(put("annex|replacements|0|election", "tie"), full), "V32"),
    ("replacement's kiosk mark", edit(_other_kiosk, full), "V32"),
    ("replacement's statement twice",
     edit(lambda _, annex: annex["replacements"].append(annex["replacements"][0]), full), "V32"),
    ("replacement by another member", hold(act=p.replaced_by_other), "V32"),
    ("kiosk passed off as a phone", hold(act=p.kiosk_hidden), "V32"),
    ("exception with one officer", hold(meeting=p.exception(6, officers=["Chi Lê"])), "V33"),
    ("one officer twice", hold(meeting=p.exception(6, officers=["Chi Lê", "Chi Lê"])), "V33"),
    ("exception without a method", hold(meeting=p.exception(6, method="")), "V33"),
    ("first passkey without officers", hold(meeting=p.exception(2, kind="first", method="seen")), "V33"),
    ("officers where there is no exception", hold(meeting=p.exception(2, officers=["A", "B"])), "V33"),
    ("exclusion not told", edit(drop("annex|exclusions|0"), full), "V33"),
    ("exclusion told twice", edit(lambda _, annex: annex["exclusions"].append(annex["exclusions"][0]), full), "V33"),
    ("excluded member in the electorate", _exclusion_of("m-000"), "V33"),
    ("excluded member not on the roll", _exclusion_of("m-999"), "V33"),
    ("name of a roll-call", hold(meeting=p.renamed, secrecy="roll-call"), "V33"),
]  # fmt: skip

PEOPLE_MUTATIONS: list[Mutation] = [*ROLL, *LATER]
