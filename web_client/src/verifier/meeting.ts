/** Checks V02 to V05 and V31: manifests, ledger, roll, and what was destroyed in the end. */
import { registrar } from "../ballot/challenges.ts";
import { type Json, type JsonObject, b64u, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { PROTOCOL, openManifest } from "../ballot/manifest.ts";
import { leafHash, root } from "../ballot/merkle.ts";
import { checkpointHash, openCheckpoint, parseNote } from "../ballot/note.ts";
import { verifySignature } from "../ballot/signing.ts";
import { tallyHash } from "../ballot/tally.ts";
import { destroyedHash } from "../trustee/destruction.ts";
import { requireAssertion } from "./assertion.ts";
import { markHash } from "./attendance.ts";
import { type CheckRun, type Context, Election, rollHash, within } from "./context.ts";
import type { ElectionFiles } from "./files.ts";
import { given, hold } from "./report.ts";

const MAX_ROLL_WEIGHT = 100_000_000;

const equal = (a: Json, b: Json): boolean => same(jcs(a), jcs(b));

function openElection({ bundle }: Context, files: ElectionFiles): Election {
  const { info, ledger, roll, keygen } = bundle;
  hold(files.board.opening !== null, "the board has no manifest");
  const manifest = openManifest(files.board.opening.manifest as Json);
  hold(manifest.election === files.id, "the manifest is of another election");
  hold(equal(manifest.organisation, info.organisation), "the manifest is of another organisation");
  hold(manifest.meeting === info.meeting.id, "the manifest is of another meeting");
  hold(manifest.rehearsal === info.meeting.rehearsal, "the manifest says otherwise whether this was a rehearsal");
  hold(manifest.board.key === info.server_key, "the manifest names another server key");
  hold(manifest.ledger.origin === ledger.origin, "the manifest names another ledger");
  hold(equal(manifest.rp, roll.core.rp), "the manifest names another relying party than the roll");
  hold(!manifest.secret || keygen.count > 0, "a secret vote without a key");
  return new Election(manifest, files);
}

function requireKeygenNumbers({ attempt, threshold, count, messages }: Context["bundle"]["keygen"]): void {
  const none = attempt === 0 && threshold === 0 && count === 0 && messages.length === 0;
  const some = attempt >= 1 && attempt <= 20 && threshold >= 2 && threshold <= count && count <= 9 && messages.length > 0;
  hold(none || some, "keygen.json: numbers of trustees or of the attempt");
}

const manifests: CheckRun = async (context) => {
  const { info, roll, keygen, destroyed, elections } = context.bundle;
  hold(info.protocol === PROTOCOL, "bundle.json: another protocol");
  const opened: Election[] = [];
  for (const files of elections) opened.push(await within(files.id, () => openElection(context, files)));
  hold(roll.core.meeting === info.meeting.id, "roll.json: another meeting");
  hold(roll.core.organisation === info.organisation.id, "roll.json: another organisation");
  hold(roll.core.weight <= MAX_ROLL_WEIGHT, "roll.json: the weight is too large");
  hold(keygen.meeting === info.meeting.id, "keygen.json: another meeting");
  hold(destroyed.meeting === info.meeting.id, "destroyed.json: another meeting");
  hold(context.bundle.attendance === null || context.bundle.attendance.meeting === info.meeting.id, "attendance.json: another meeting");
  requireKeygenNumbers(keygen);
  hold(context.annex === null || context.annex.meeting === info.meeting.id, "annex.json: another meeting");
  context.elections = opened;
};

const ledger: CheckRun = ({ bundle }) => {
  const { checkpoint } = openCheckpoint(bundle.ledger.checkpoint, bundle.ledger.origin, fromB64u(bundle.info.server_key));
  const leaves = bundle.ledger.leaves.map((leaf) => fromB64u(leaf));
  hold(checkpoint.size === leaves.length, "the ledger has another size");
  hold(same(checkpoint.root, root(leaves)), "the ledger has another root");
};

const pair = (type: string, hash: string): string => `${type} ${hash}`;
const noteHash = (text: string): string => b64u(checkpointHash(parseNote(text).body));

/**
 * What the ledger has of each election's attendance, at its opening and closing. Once a server keeps a log it keeps it:
 * votes without marks are those before the first with them.
 */
function marksOf({ bundle: { info, attendance }, elections }: Context): Map<string, string[]> {
  const marks = attendance?.marks ?? [];
  const found = new Map<string, string[]>();
  for (const one of marks) found.set(one.election, [...(found.get(one.election) ?? []), pair("attendance", b64u(markHash(info.meeting.id, one)))]);
  const marked = elections.slice(Math.max(0, elections.length - found.size));
  const wanted = marked.flatMap(({ files }) => [`${files.id} opening`, `${files.id} closing`]);
  hold(marks.map(({ election, when }) => `${election} ${when}`).join() === wanted.join(), "attendance marks are not one of each opening and closing");
  return found;
}

/** What the ledger must say of one election, in this order. */
const expectedOf = ({ files }: Election, marks: readonly string[]): string[] => [
  pair("opened", noteHash(files.opening)),
  ...marks.slice(0, 1),
  pair("closed", noteHash(files.closing)),
  ...marks.slice(1),
  pair("tally", b64u(tallyHash(files.tally.core as JsonObject))),
];

/** Places of the entries by type and hash, those of destruction apart. */
function placesOf({ leaves, entries }: Context["bundle"]["ledger"]): { places: Map<string, number>; destroyed: number[] } {
  const places = new Map<string, number>();
  const destroyed: number[] = [];
  let last = -1;
  for (const { index, entry } of entries) {
    hold(index > last, "ledger entries are not ascending");
    hold(b64u(leafHash(jcs(entry))) === leaves[index], `ledger entry ${index} is not the ledger's`);
    if (entry.type === "destroyed") destroyed.push(index);
    else {
      hold(!places.has(pair(entry.type, entry.hash)), "a ledger entry comes twice");
      places.set(pair(entry.type, entry.hash), index);
    }
    last = index;
  }
  return { places, destroyed };
}

/** The transcript that the manifests of secret votes name, else that of the key which no vote used; null without a key. */
function transcriptOf({ bundle, elections }: Context): string | null {
  if (bundle.keygen.count === 0) return null;
  const secret = elections.find(({ manifest }) => manifest.secret);
  const certified = bundle.keygen.messages.find((one) => one.type === "certify");
  return secret?.manifest.trustees.transcript ?? certified?.transcript ?? "";
}

const ledgerEntries: CheckRun = (context) => {
  const { bundle, elections } = context;
  const { places, destroyed } = placesOf(bundle.ledger);
  const { manifest } = given(elections[0], "an election");
  const transcript = transcriptOf(context);
  const start = [pair("roll", manifest.roll), ...(transcript === null ? [] : [pair("key", transcript)])];
  const marks = marksOf(context);
  const ofElections = elections.map((one) => expectedOf(one, marks.get(one.files.id) ?? []));
  hold(places.size === start.length + ofElections.flat().length, "another number of ledger entries");
  hold(destroyed.length === bundle.destroyed.statements.length, "another number of destructions in the ledger");
  const requireOrder = (chain: readonly string[]): void => {
    const found = chain.map((name) => given(places.get(name), `the ledger entry "${name}"`));
    hold(found.every((place, i) => i === 0 || place > (found[i - 1] ?? 0)), "ledger entries are in another order");
  };
  for (const chain of ofElections) requireOrder([...start, ...chain]);
  requireOrder(ofElections.map(([opened = ""]) => opened));
  requireOrder([...marks.values()].flat());
  const made = Math.max(...start.map((name) => places.get(name) ?? 0));
  hold(destroyed.every((index) => index > made), "a destruction stands before the key");
};

const roll: CheckRun = async (context) => {
  const { core, nonce, assertion } = context.bundle.roll;
  const hash = rollHash(context);
  await within("registrar", () => requireAssertion(core.rp, registrar(hash, fromB64u(nonce)), fromB64u(core.registrar.key), assertion));
  for (const { files, manifest } of context.elections) {
    hold(manifest.roll === b64u(hash), `${files.id}: the manifest names another roll`);
    hold(manifest.rollSize === core.size && manifest.rollWeight === core.weight, `${files.id}: the manifest names another size of the roll`);
    hold(manifest.exceptions === core.exceptions, `${files.id}: the manifest hides exceptions`);
  }
};

const destruction: CheckRun = ({ bundle, elections }) => {
  const { keygen, destroyed, ledger: log } = bundle;
  const registers = new Map(keygen.messages.filter((one) => one.type === "register").map((one) => [one.trustee, one.sign_key]));
  const certified = keygen.messages.find((one) => one.type === "certify");
  const due = Math.max(0, ...elections.map(({ manifest, files }) => files.tally.core.counted_at + manifest.challengeS));
  const recorded = log.entries.filter(({ entry }) => entry.type === "destroyed").map(({ entry }) => entry.hash);
  const hashes: string[] = [];
  const { statements } = destroyed;
  hold(statements.every(({ trustee }, i) => i === 0 || trustee > (statements[i - 1]?.trustee ?? 0)), "statements are not one for each trustee, ascending");
  for (const one of statements) {
    const key = given(registers.get(one.trustee), `trustee ${one.trustee}`);
    hold(one.meeting === keygen.meeting && one.attempt === keygen.attempt, "a statement of another key");
    hold(one.at >= due, `trustee ${one.trustee} destroyed before the challenge period was over`);
    const hash = destroyedHash(one, fromB64u(given(certified, "a transcript").transcript), one.at);
    hold(verifySignature(fromB64u(key), hash, fromB64u(one.sig)), `the statement of trustee ${one.trustee} is not signed`);
    hashes.push(b64u(hash));
  }
  hold(hashes.sort().join() === recorded.sort().join(), "the ledger records other destructions");
};

export const MEETING_CHECKS = { V02: manifests, V03: ledger, V04: ledgerEntries, V05: roll, V31: destruction };
