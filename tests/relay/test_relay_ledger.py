"""A phone that holds an old checkpoint of the ledger checks in at a hall that is cut off."""

from pathlib import Path

import pytest
from tests.relay.rig import rig, until

from folkmoot_server.storage import ledger
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.merkle_log import parse_note, tree_hash, verify_consistency

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine


async def test_the_relay_proves_the_ledger_from_every_size_that_a_phone_may_hold(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        otto = made.phones["otto"]
        leaves = await made.hall.read(ledger.hashes)
        assert len(leaves) >= 2

        async def complete() -> bool:
            return len(made.relay.rows("SELECT number FROM leaf")) == len(leaves)

        await until(complete, "the leaves of the ledger at the relay")
        made.link.drop()
        await made.until_cut(made.phones["binh"])
        await otto.sign_in()
        begun = await otto.begin_check_in(made.hall.meeting)
        newest = parse_note(begun["checkpoint"]).checkpoint
        assert (newest.size, newest.root) == (len(leaves), tree_hash(leaves))
        for size in range(newest.size + 1):
            answer = await otto.get(f"/api/ledger?from={size}&to={newest.size}")
            proof = [unb64u(one) for one in answer["proof"]]
            if size:
                assert verify_consistency(size, newest.size, tree_hash(leaves[:size]), newest.root, proof)
        # Control: the proof of another history fails, and what never was is not answered.
        assert not verify_consistency(1, newest.size, bytes(32), newest.root, proof)
        assert (await otto.ask("GET", f"/api/ledger?from=1&to={newest.size + 1}"))[0] == 503

        # A relay whose copy of the ledger is not the hub's says nothing rather than something wrong.
        await made.relay.kill()
        made.relay.change("UPDATE leaf SET hash = zeroblob(32) WHERE number = 0")
        await made.relay.start()
        assert (await otto.ask("GET", f"/api/ledger?from=1&to={newest.size}"))[0] == 503
