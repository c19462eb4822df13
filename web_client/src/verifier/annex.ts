/** Checks V23 to V28: who stands behind credentials, trustees and cosigners. */
import * as challenges from "../ballot/challenges.ts";
import { type Bytes, b64u, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { leafHash, root } from "../ballot/merkle.ts";
import { openCheckpoint } from "../ballot/note.ts";
import { requireAssertion } from "./assertion.ts";
import { rootsAt } from "./boards.ts";
import { type CheckRun, type Context, annexOf, rollEntry, rollHash, within } from "./context.ts";
import type { AssertionForm, Checkin } from "./formats.ts";
import { given, hold } from "./report.ts";

const different = (values: readonly string[]): boolean => new Set(values).size === values.length;

const rollEntries: CheckRun = (context) => {
  const entries = annexOf(context).roll;
  const { core } = context.bundle.roll;
  hold(entries.every(({ member }, i) => i === 0 || member > (entries[i - 1]?.member ?? "")), "roll entries are not sorted by member");
  hold(different(entries.flatMap(({ passkeys }) => passkeys.map(({ id }) => id))), "a passkey is listed twice");
  hold(entries.length === core.size, "another number of entries");
  hold(b64u(root(entries.map((entry) => leafHash(jcs(entry))))) === core.root, "another root");
  hold(entries.filter(({ exception }) => exception !== "").length === core.exceptions, "another number of exceptions");
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
    meeting: meetingOf(context),
    rollHash: rollHash(context),
    site: one.site,
    credential: fromB64u(one.credential),
    checkpoint: one.checkpoint,
    nonce: fromB64u(one.nonce),
  });
  return within(`check-in of ${one.member}`, () => requirePasskey(context, one, challenge));
}

const votersOf = ({ elections }: Context): Set<string> =>
  new Set(elections.flatMap(({ ballots }) => ballots.map(({ credential }) => b64u(credential))));

const voters: CheckRun = async (context) => {
  const voted = votersOf(context);
  const theirs = annexOf(context).checkins.filter(({ credential }) => voted.has(credential));
  hold(different(theirs.map(({ credential }) => credential)), "a voter's credential has two check-ins");
  hold(theirs.length === voted.size, "a voter's credential has no check-in");
  await context.work.each(theirs, (one) => requireCheckin(context, one));
};

const nonVoters: CheckRun = async (context) => {
  const voted = votersOf(context);
  const { checkins } = annexOf(context);
  hold(different(checkins.map(({ credential }) => credential)), "a credential has two check-ins");
  const places = checkins.flatMap(({ member, elections }) => [...new Set(elections)].map((election) => `${member} ${election}`));
  hold(different(places), "a member has two credentials in an electorate");
  await context.work.each(checkins.filter(({ credential }) => !voted.has(credential)), (one) => requireCheckin(context, one));
};

const checkpoints: CheckRun = async (context) => {
  const { ledger, info } = context.bundle;
  const rolls = ledger.entries.filter(({ entry }) => entry.type === "roll");
  const [roll] = rolls;
  hold(rolls.length === 1 && roll !== undefined, "the ledger has no roll");
  const texts = [...new Set(annexOf(context).checkins.map(({ checkpoint }) => checkpoint))];
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
  const { messages, count } = context.bundle.keygen;
  hold(statements.length === count && different(statements.map(({ trustee }) => String(trustee))), "not exactly one statement per trustee");
  hold(different(statements.map(({ member }) => member)), "a member holds two shares");
  await context.work.each(statements, (one) =>
    within(`trustee ${one.trustee}`, async () => {
      const found = messages.find((message) => message.type === "register" && message.trustee === one.trustee);
      const register = given(found?.type === "register" ? found : undefined, "the register message");
      hold(one.sign_key === register.sign_key && one.box_key === register.box_key, "the statement is for other keys");
      const challenge = challenges.trustee({
        meeting: meetingOf(context), rollHash: rollHash(context), index: one.trustee,
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

export const ANNEX_RUNS = { V23: rollEntries, V24: voters, V25: nonVoters, V26: checkpoints, V27: trustees, V28: cosigners };
