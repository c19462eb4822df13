/** Checks V23 to V28, V32 and V33: who stands behind credentials, trustees and cosigners. */
import * as challenges from "../ballot/challenges.ts";
import { type Bytes, type JsonObject, b64u, fromB64u, same } from "../ballot/encoding.ts";
import { Tree } from "../ballot/merkle.ts";
import { openCheckpoint } from "../ballot/note.ts";
import { requireAssertion } from "./assertion.ts";
import { type CheckRun, type Context, type Election, annexOf, different, eachElection, rollEntry, rollHash, within } from "./context.ts";
import type { Annex, AssertionForm, Checkin, Place, ReplacementStatement, RollEntry } from "./formats.ts";
import { given, hold } from "./report.ts";

const rollEntries: CheckRun = (context) => {
  const { roll: entries, rollRoot } = annexOf(context);
  const { core } = context.bundle.roll;
  hold(entries.every(({ member }, i) => i === 0 || member > (entries[i - 1]?.member ?? "")), "roll entries are not sorted by member");
  hold(different(entries.flatMap(({ passkeys }) => passkeys.map(({ id }) => id))), "a passkey is listed twice");
  hold(entries.length === core.size, "another number of entries");
  hold(entries.reduce((sum, { weight }) => sum + weight, 0) === core.weight, "another weight");
  hold(rollRoot === core.root, "another root");
  hold(entries.filter(({ exception }) => exception.kind !== "none").length === core.exceptions, "another number of exceptions");
};

interface Signed {
  member: string;
  passkey: string;
  assertion: AssertionForm;
}

/** Throws unless one of the member's passkeys on the roll signed this challenge. */
async function requirePasskey(context: Context, { member, passkey, assertion }: Signed, challenge: Bytes): Promise<void> {
  const entry = rollEntry(annexOf(context), member);
  hold(entry !== undefined, "the member is not on the roll");
  const listed = entry.passkeys.find(({ id }) => id === passkey);
  hold(listed !== undefined, "the passkey is not in the member's roll entry");
  await requireAssertion(context.bundle.roll.core.rp, challenge, fromB64u(listed.key), assertion);
}

const meetingOf = ({ bundle }: Context): string => bundle.roll.core.meeting;

function requireCheckin(context: Context, one: Checkin): Promise<void> {
  const challenge = challenges.checkin({
    meeting: meetingOf(context), rollHash: rollHash(context), site: one.site, credential: fromB64u(one.credential), checkpoint: one.checkpoint,
    nonce: fromB64u(one.nonce),
  });
  return within(`check-in of ${one.member}`, () => requirePasskey(context, one, challenge));
}

/** Reads the check-ins once more and verifies those that are wanted. */
async function verifyCheckins(context: Context, total: number, wanted: (one: Checkin) => boolean): Promise<void> {
  let done = 0;
  for await (const one of total === 0 ? [] : annexOf(context).again()) {
    if (!wanted(one)) continue;
    await context.work.pause();
    await requireCheckin(context, one);
    context.work.progress(++done, total);
  }
}

/** First credentials of all lineages that voted. */
const votersOf = ({ elections }: Context): Set<string> => new Set(elections.flatMap(({ read }) => [...read.voters]));

/** The check-ins of an election's electors. */
const electorsOf = ({ checkins }: Annex, election: string): Place[] => checkins.filter(({ elections }) => elections.includes(election));

/** V09 has held the list of the bundle against its hash; names are V33's. */
function requireElectorate(annex: Annex, { manifest, files }: Election): void {
  const memberOf = new Map(electorsOf(annex, manifest.election).map(({ credential, member }) => [credential, member]));
  const right = files.electorate.every(({ credential, weight }) => rollEntry(annex, memberOf.get(credential) ?? "")?.weight === weight);
  hold(right && memberOf.size === files.electorate.length, "the check-ins give another electorate than the manifest's");
}

const voters: CheckRun = async (context) => {
  const annex = annexOf(context);
  const voted = votersOf(context);
  const theirs = annex.checkins.filter(({ credential }) => voted.has(credential));
  hold(different(theirs.map(({ credential }) => credential)), "a voter's credential has two check-ins");
  hold(theirs.length === voted.size, "a voter's credential has no check-in");
  for (const election of context.elections) await within(election.files.id, () => requireElectorate(annex, election));
  await verifyCheckins(context, theirs.length, ({ credential }) => voted.has(credential));
};

const nonVoters: CheckRun = async (context) => {
  const voted = votersOf(context);
  const { checkins } = annexOf(context);
  const others = checkins.filter(({ credential }) => !voted.has(credential));
  hold(different(others.map(({ credential }) => credential)), "a credential has two check-ins");
  const known = new Set(context.elections.map(({ manifest }) => manifest.election));
  const places = checkins.flatMap(({ member, elections }) => [...new Set(elections)].filter((one) => known.has(one)).map((one) => `${member} ${one}`));
  hold(different(places), "a member has two lineages in an electorate");
  await verifyCheckins(context, others.length, ({ credential }) => !voted.has(credential));
};

/** Roots of the tree at some sizes. */
function rootsAt(leaves: readonly Bytes[], sizes: Iterable<number>): Map<number, Bytes> {
  const wanted = new Set(sizes);
  const tree = new Tree();
  const roots = new Map<number, Bytes>();
  for (const leaf of leaves) {
    tree.append(leaf);
    if (wanted.has(tree.size)) roots.set(tree.size, tree.root());
  }
  return roots;
}

const checkpoints: CheckRun = async (context) => {
  const { ledger, info } = context.bundle;
  const roll = given(ledger.entries.find(({ entry }) => entry.type === "roll"), "the ledger's roll");
  const texts = [...annexOf(context).checkpoints];
  const heads = texts.map((text) => openCheckpoint(text, ledger.origin, fromB64u(info.server_key)).checkpoint);
  const roots = rootsAt(ledger.leaves.map((leaf) => fromB64u(leaf)), heads.map(({ size }) => size));
  await context.work.each(heads, ({ size, root: claimed }) => {
    const own = roots.get(size);
    hold(own !== undefined && same(own, claimed), "a check-in's ledger is not a prefix of the ledger");
    hold(roll.index < size, "a check-in's ledger does not hold the roll");
  });
};

const trustees: CheckRun = async (context) => {
  const statements = annexOf(context).trustees;
  const { messages, count, attempt } = context.bundle.keygen;
  hold(statements.length === count && different(statements.map(({ trustee }) => String(trustee))), "not exactly one statement per trustee");
  hold(different(statements.map(({ member }) => member)), "a member holds two shares");
  await context.work.each(statements, (one) =>
    within(`trustee ${one.trustee}`, async () => {
      const found = messages.find((message) => message.type === "register" && message.trustee === one.trustee);
      const register = given(found?.type === "register" ? found : undefined, "the register message");
      hold(one.sign_key === register.sign_key && one.box_key === register.box_key, "the statement is for other keys");
      const challenge = challenges.trustee({
        meeting: meetingOf(context), rollHash: rollHash(context), attempt, index: one.trustee,
        signKey: fromB64u(one.sign_key), boxKey: fromB64u(one.box_key), nonce: fromB64u(one.nonce),
      });
      await requirePasskey(context, one, challenge);
    }),
  );
};

const cosigners: CheckRun = async (context) => {
  const statements = annexOf(context).cosigners;
  const pair = ({ name, key }: { name: string; key: string }): string => `${key} ${name}`;
  const members = new Map(statements.map((one) => [pair(one), one.member]));
  hold(members.size === statements.length, "a cosigner's key is stated twice");
  const named = new Set<string>();
  for (const { files, manifest } of context.elections) {
    const pairs = manifest.cosigners.map(pair);
    hold(pairs.every((one) => members.has(one)), `${files.id}: a cosigner has no statement`);
    hold(different(pairs.map((one) => members.get(one) ?? "")), `${files.id}: a member cosigns twice`);
    for (const one of pairs) named.add(one);
  }
  hold(named.size === members.size, "a statement of someone who is no cosigner");
  await context.work.each(statements, (one) =>
    within(one.name, () => {
      const { name, key, nonce } = one;
      const challenge = challenges.cosigner({
        meeting: meetingOf(context), rollHash: rollHash(context), name, key: fromB64u(key), nonce: fromB64u(nonce),
      });
      return requirePasskey(context, one, challenge);
    }),
  );
};

/** The hash by which the board names a statement. */
const hashOf = ({ assertion, kiosk, member, new: fresh, nonce, old, passkey, salt }: ReplacementStatement): string =>
  b64u(challenges.statementHash(fromB64u(salt), { assertion, kiosk, member, new: fresh, nonce, old, passkey } as JsonObject));

const replacements: CheckRun = async (context) => {
  const annex = annexOf(context);
  const left = new Set(annex.replacements);
  for (const { files, manifest, read } of context.elections) {
    const memberOf = new Map(electorsOf(annex, manifest.election).map(({ credential, member }) => [credential, member]));
    const byHash = new Map(annex.replacements.filter(({ election }) => election === manifest.election).map((one) => [hashOf(one), one]));
    await context.work.each(read.replacements, ({ entry, first }) =>
      within(`${files.id}: a replacement`, async () => {
        const one = given(byHash.get(entry.statement), "its statement");
        hold(left.delete(one), "a statement serves twice");
        hold(one.old === entry.old && one.new === entry.new && one.kiosk === entry.kiosk, "its statement is for other keys");
        hold(memberOf.get(first) === one.member, "its statement is another member's");
        const challenge = challenges.replacement({
          manifestHash: manifest.hash, old: fromB64u(one.old), new: fromB64u(one.new), kiosk: one.kiosk, nonce: fromB64u(one.nonce),
        });
        await requirePasskey(context, one, challenge);
      }),
    );
  }
  hold(left.size === 0, "a statement without its replacement");
};

function requireException({ member, exception: { kind, method, officers } }: RollEntry): void {
  const witnessed = kind === "first" || kind === "replaced";
  const right = witnessed ? method !== "" && officers.length === 2 && different(officers) : officers.length === 0 && (kind !== "none" || method === "");
  hold(right, `the exception of ${member} lacks its method or its officers`);
}

const exceptions: CheckRun = async (context) => {
  const annex = annexOf(context);
  for (const entry of annex.roll) requireException(entry);
  await eachElection(({ manifest, files }) => {
    const excluded = annex.exclusions.filter(({ election }) => election === manifest.election).map(({ member }) => member);
    hold(excluded.length === manifest.excluded && different(excluded), "another number of exclusions than the manifest says");
    const electors = electorsOf(annex, manifest.election);
    const members = new Map(electors.map(({ credential, member }) => [credential, member]));
    const present = new Set(members.values());
    hold(excluded.every((member) => rollEntry(annex, member) !== undefined), "an excluded member is not on the roll");
    hold(!excluded.some((member) => present.has(member)), "an excluded member is in the electorate");
    if (manifest.secrecy !== "roll-call") return;
    const right = files.electorate.every(({ credential, name }) => rollEntry(annex, members.get(credential) ?? "")?.name === name);
    hold(right, "a name of the roll-call is not the roll's");
  })(context);
};

export const ANNEX_RUNS = { V23: rollEntries, V24: voters, V25: nonVoters, V26: checkpoints, V27: trustees, V28: cosigners, V32: replacements, V33: exceptions };
