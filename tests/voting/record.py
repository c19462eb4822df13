"""Bundle and annex of a meeting in software: `write` gives the bytes that tests then spoil."""

from __future__ import annotations

from tests.voting.scenario import FIRST, MEETING, ORGANISATION, RP, Meeting

from folkmoot_voting import attendance, board, bundle, destruction, keygen, signing
from folkmoot_voting.encoding import JsonObject

Record = tuple[bytes, bytes]


def write(meeting: Meeting) -> Record:
    """Return (bundle.zip, annex.zip) of what the meeting has held."""
    return bundle.write_bundle(make_bundle(meeting)), bundle.write_annex(make_annex(meeting), make_log(meeting))


def make_bundle(meeting: Meeting) -> bundle.Bundle:
    """Return the content of the bundle."""
    leaves = board.entry_leaves(meeting.ledger_entries)
    return bundle.Bundle(
        info=bundle.make_info(
            organisation=ORGANISATION,
            meeting=MEETING,
            rehearsal=any(one.manifest.rehearsal for one in meeting.elections),
            server_key=signing.public_key(meeting.server),
            elections=[one.manifest.election for one in meeting.elections],
        ),
        roll=meeting.statement,
        keygen=meeting.keygen.to_json() if meeting.keygen else keygen.empty_json(MEETING[0]),
        destroyed=destruction.make_file(MEETING[0], meeting.destroyed),
        ledger=bundle.make_ledger(
            f"{RP.id}/ledger", meeting.ledger_checkpoint(), leaves, list(enumerate(meeting.ledger_entries))[1::2]
        ),
        elections={
            one.manifest.election: bundle.ElectionFiles(
                board=one.entries,
                electorate=one.electorate,
                opening=one.opening,
                closing=one.closing,
                final=one.final,
                tally=one.tally,
                rejected=one.rejected if meeting.evidence is None else meeting.evidence,
            )
            for one in meeting.elections
        },
        marks=meeting.marks,
    )


def make_log(meeting: Meeting) -> list[JsonObject]:
    """Return the attendance log up to the last mark, or nothing where none was kept."""
    if not meeting.marks:
        return []
    kept = meeting.lines()[: meeting.marks[-1]["count"]]
    return [attendance.start_line(MEETING[0], meeting.log_salt), *kept]


def make_annex(meeting: Meeting) -> JsonObject:
    """Return the content of the annex."""
    return bundle.make_annex(
        meeting=MEETING[0],
        made_at=FIRST + 90_000,
        keep_until=FIRST + 10 * 365 * 86_400,
        auditors=["Ada Lê", "Bao Trần"],
        roll=meeting.entries,
        checkins=meeting.checkins,
        replacements=meeting.replacements,
        exclusions=meeting.exclusions,
        trustees=meeting.trustee_statements,
        cosigners=meeting.cosigner_statements,
        attempts=[{"attempt": 1, "reason": "a teller's phone was lost", "messages": [{"type": "register"}]}],
    )
