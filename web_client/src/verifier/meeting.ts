/** Checks V02 to V05: manifests, ledger and roll. */
import { registrar } from "../ballot/challenges.ts";
import { type Json, b64u, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { PROTOCOL, openManifest } from "../ballot/manifest.ts";
import { leafHash, root } from "../ballot/merkle.ts";
import { checkpointHash, openCheckpoint, parseNote } from "../ballot/note.ts";
import { tallyHash } from "../ballot/tally.ts";
import { requireAssertion } from "./assertion.ts";
import { type CheckRun, type Context, Election, rollHash, within } from "./context.ts";
import type { ElectionFiles } from "./files.ts";
import { given, hold } from "./report.ts";

const equal = (a: Json, b: Json): boolean => same(jcs(a), jcs(b));

function openElection({ bundle }: Context, files: ElectionFiles): Election {
  const opening = files.board.map(({ entry }) => entry).find((entry) => entry.type === "opening");
  hold(opening !== undefined, "the board has no manifest");
  const manifest = openManifest(opening.manifest as Json);
  const { info, ledger, roll } = bundle;
  hold(manifest.election === files.id, "the manifest is of another election");
  hold(equal(manifest.organisation, info.organisation), "the manifest is of another organisation");
  hold(manifest.meeting === info.meeting.id, "the manifest is of another meeting");
  hold(manifest.board.key === info.server_key, "the manifest names another server key");
  hold(manifest.ledger.origin === ledger.origin, "the manifest names another ledger");
  hold(equal(manifest.rp, roll.core.rp), "the manifest names another relying party than the roll");
  return new Election(manifest, files);
}

const manifests: CheckRun = async (context) => {
  const { info, roll, keygen, elections } = context.bundle;
  hold(info.protocol === PROTOCOL, "bundle.json: another protocol");
  context.elections = [];
  for (const files of elections) context.elections.push(await within(files.id, () => openElection(context, files)));
  hold(roll.core.meeting === info.meeting.id, "roll.json: another meeting");
  hold(roll.core.organisation === info.organisation.id, "roll.json: another organisation");
  hold(keygen.meeting === info.meeting.id, "keygen.json: another meeting");
  const { threshold, count } = keygen;
  hold(threshold >= 2 && threshold <= count && count <= 9, "keygen.json: numbers of trustees");
  hold(context.annex === null || context.annex.meeting === info.meeting.id, "annex.json: another meeting");
};

const ledger: CheckRun = ({ bundle }) => {
  const { checkpoint } = openCheckpoint(bundle.ledger.checkpoint, bundle.ledger.origin, fromB64u(bundle.info.server_key));
  const leaves = bundle.ledger.leaves.map((leaf) => fromB64u(leaf));
  hold(checkpoint.size === leaves.length, "the ledger has another size");
  hold(same(checkpoint.root, root(leaves)), "the ledger has another root");
};

const pair = (type: string, hash: string): string => `${type} ${hash}`;
const noteHash = (text: string): string => b64u(checkpointHash(parseNote(text).body));

/** What the ledger must say of one election, in this order. */
const expectedOf = ({ files }: Election): string[] => [
  pair("opened", noteHash(files.opening)),
  pair("closed", noteHash(files.closing)),
  pair("tally", b64u(tallyHash(files.tally.core as { [field: string]: Json }))),
];

const ledgerEntries: CheckRun = ({ bundle, elections }) => {
  const { leaves, entries } = bundle.ledger;
  const places = new Map<string, number>();
  let last = -1;
  for (const { index, entry } of entries) {
    hold(index > last, "ledger entries are not ascending");
    hold(b64u(leafHash(jcs(entry))) === leaves[index], `ledger entry ${index} is not the ledger's`);
    places.set(pair(entry.type, entry.hash), index);
    last = index;
  }
  const { manifest } = given(elections[0], "an election");
  const start = [pair("roll", manifest.roll), pair("key", manifest.trustees.transcript)];
  const ofElections = elections.map(expectedOf);
  const all = [...start, ...ofElections.flat()];
  hold(entries.length === all.length && places.size === all.length, "another number of ledger entries");
  const requireOrder = (chain: readonly string[]): void => {
    const found = chain.map((name) => given(places.get(name), `the ledger entry "${name}"`));
    hold(found.every((place, i) => i === 0 || place > (found[i - 1] ?? 0)), "ledger entries are in another order");
  };
  for (const chain of ofElections) requireOrder([...start, ...chain]);
  requireOrder(ofElections.map(([opened = ""]) => opened));
};

const roll: CheckRun = async (context) => {
  const { core, nonce, assertion } = context.bundle.roll;
  const hash = rollHash(context);
  await within("registrar", () => requireAssertion(core.rp, registrar(hash, fromB64u(nonce)), fromB64u(core.registrar.key), assertion));
  for (const { files, manifest } of context.elections) {
    hold(manifest.roll === b64u(hash), `${files.id}: the manifest names another roll`);
    hold(manifest.rollSize === core.size, `${files.id}: the manifest names another size of the roll`);
    hold(manifest.exceptions === core.exceptions, `${files.id}: the manifest hides exceptions`);
  }
};

export const MEETING_CHECKS = { V02: manifests, V03: ledger, V04: ledgerEntries, V05: roll };
