"""The routes of roll, check-in, key, elections and export."""

from __future__ import annotations

from aiohttp import web

from folkmoot_server.web import handlers_ballots as ballots
from folkmoot_server.web import handlers_elections as elections
from folkmoot_server.web import handlers_export as export
from folkmoot_server.web import handlers_keys as keys
from folkmoot_server.web import handlers_rolls as rolls
from folkmoot_server.web.proof_pool import proof_pool

MEETING = "/api/meetings/{meeting}"
ELECTION = MEETING + "/elections/{election}"


def add_routes(app: web.Application) -> None:
    """Add the vote's routes and the pool that checks proofs."""
    app[export.EXPORTS] = export.Exports()
    app.cleanup_ctx.append(proof_pool)
    app.add_routes(
        [
            web.post(MEETING + "/roll/prepare", rolls.prepare),
            web.post(MEETING + "/roll/freeze", rolls.freeze),
            web.get(MEETING + "/roll", rolls.show),
            web.get("/api/ledger", rolls.show_ledger),
            web.post(MEETING + "/check-in/begin", rolls.begin),
            web.post(MEETING + "/check-in/finish", rolls.finish),
            web.get(MEETING + "/keygen", keys.show),
            web.post(MEETING + "/keygen/messages", keys.post_message),
            web.post(MEETING + "/keygen/restart", keys.restart),
            web.put(MEETING + "/keygen/copy", keys.put_copy),
            web.get(MEETING + "/keygen/copy", keys.show_copy),
            web.post(MEETING + "/keygen/destroyed", keys.destroy),
            web.post(MEETING + "/cosigners", keys.register_cosigner),
            web.post(MEETING + "/questions", elections.draft),
            web.post(ELECTION + "/exclusions", elections.exclude),
            web.get(ELECTION + "/preview", elections.preview),
            web.post(ELECTION + "/open", elections.open_election),
            web.post(ELECTION + "/close", elections.close_election),
            web.get(ELECTION + "/manifest", elections.show_manifest),
            web.post(ELECTION + "/seals", ballots.announce),
            web.post(ELECTION + "/ballots", ballots.cast),
            web.post(ELECTION + "/voids", ballots.make_void),
            web.post(ELECTION + "/replacements", ballots.replace_credential),
            web.get("/api/manifests/{manifest}", ballots.show_manifest),
            web.get("/api/manifests/{manifest}/voids/{sealed}", ballots.show_void),
            web.get(ELECTION + "/board", elections.show_board),
            web.get(ELECTION + "/inclusion", elections.show_inclusion),
            web.post(ELECTION + "/cosignatures", elections.cosign),
            web.post(ELECTION + "/intents", elections.post_intent),
            web.post(ELECTION + "/shares", elections.post_share),
            web.post(ELECTION + "/casting", elections.post_casting),
            web.get(ELECTION + "/tally", elections.show_tally),
            web.post(ELECTION + "/tally/signatures", elections.sign_tally),
            web.get(MEETING + "/bundle.zip", export.bundle),
            web.get(MEETING + "/annex.age", export.annex),
        ]
    )
