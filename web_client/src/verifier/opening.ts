/** Checks V17 to V22: intents, shares, counts, outcome and tally. */
import { type Part, intentMessage, shareMessage } from "../ballot/board.ts";
import { type Bytes, type Json, type JsonObject, b64u, decodeScalar, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { verifySignature } from "../ballot/signing.ts";
import { LEAST_CAST, combine, evaluate, quorumMet, requireValidParts, tallyHash } from "../ballot/tally.ts";
import { type Election, eachElection } from "./context.ts";
import type { EntryOf } from "./formats.ts";
import { given, hold } from "./report.ts";

const tooFew = (election: Election): boolean => election.cast < LEAST_CAST;
const equal = (a: Json, b: Json): boolean => same(jcs(a), jcs(b));

function requireOneEach(entries: readonly { trustee: number }[]): void {
  hold(new Set(entries.map(({ trustee }) => trustee)).size === entries.length, "a trustee has two");
}

const intents = eachElection((election) => {
  const { manifest } = election;
  const all = election.entries("intent");
  hold(!tooFew(election) || all.length === 0, "an intent although too few were cast");
  requireOneEach(all);
  const closing = election.closingHash;
  for (const { trustee, manifest: named, closing: closed, aggregate, sig } of all) {
    const right = named === manifest.id && closed === b64u(closing) && aggregate === b64u(election.aggregate.hash);
    hold(right, "an intent names another ballot box");
    const message = intentMessage(manifest.hash, closing, election.aggregate.hash, trustee);
    hold(verifySignature(election.signKey(trustee), message, fromB64u(sig)), `the intent of trustee ${trustee} is not signed`);
  }
  const announced = new Set<number>();
  for (const { entry } of election.files.board) {
    if (entry.type === "intent") announced.add(entry.trustee);
    else if (entry.type === "share") hold(announced.has(entry.trustee), "a share before its trustee's intent");
  }
});

const shares = eachElection((election) => {
  const { manifest } = election;
  const all = election.entries("share");
  hold(!tooFew(election) || all.length === 0, "a share although too few were cast");
  requireOneEach(all);
  for (const { trustee, manifest: named, aggregate, parts, sig } of all) {
    hold(named === manifest.id && aggregate === b64u(election.aggregate.hash), "a share names another ballot box");
    const message = shareMessage(manifest.hash, election.aggregate.hash, trustee, parts);
    hold(verifySignature(election.signKey(trustee), message, fromB64u(sig)), `the share of trustee ${trustee} is not signed`);
  }
});

type PartForm = EntryOf<"share">["parts"][number][number];
const readPart = ({ d, u, w, z }: PartForm): Part => ({ d: fromB64u(d), u: fromB64u(u), w: fromB64u(w), z: decodeScalar(fromB64u(z)) });

const shareProofs = eachElection(async (election, { work }) => {
  await work.each(election.entries("share"), ({ trustee, parts }) => {
    requireValidParts(election.manifest, election.aggregate, trustee, parts.map((row) => row.map(readPart)));
  });
});

const counts = eachElection((election) => {
  const { core } = election.files.tally;
  if (tooFew(election)) {
    hold(core.counts.length === 0 && core.trustees.length === 0, "counts although too few were cast");
    return;
  }
  hold(core.trustees.every((trustee, i) => i === 0 || trustee > (core.trustees[i - 1] ?? 0)), "the trustees used are not ascending");
  const byTrustee = new Map(election.entries("share").map(({ trustee, parts }) => [trustee, parts]));
  const used = core.trustees.map((trustee) => {
    const parts = given(byTrustee.get(trustee), `the share of trustee ${trustee}`);
    return { trustee, parts: parts.map((row) => row.map(readPart)) };
  });
  const own = combine(election.manifest, election.aggregate, used, election.cast);
  hold(own.every((row) => row.reduce((sum, n) => sum + n, 0) === election.cast), "the counts do not sum to the ballots cast");
  hold(equal(core.counts, own), "the shares give other counts");
});

const outcome = eachElection((election) => {
  const { manifest } = election;
  const { core } = election.files.tally;
  const quorum = { met: quorumMet(manifest), present: manifest.present, roll: manifest.rollSize };
  hold(equal(core.quorum, quorum), "another quorum");
  const sizes = tooFew(election) ? [] : manifest.questions.map(({ options }) => options.length);
  hold(equal(core.counts.map((row) => row.length), sizes), "counts do not fit the questions");
  const own = evaluate(manifest, core.counts, election.cast).map(({ kind, option }) => ({ kind, option }));
  hold(equal(core.outcome, own), "another outcome");
});

function requireTallySignatures(election: Election, hash: Bytes): void {
  const { core, signatures } = election.files.tally;
  hold(equal(signatures.trustees.map(({ trustee }) => trustee), core.trustees), "other trustees than those of the count sign the tally");
  const chair = given(election.manifest.cosigners.find(({ name }) => name === "chair"), "the chair's key");
  const signed: [string, Bytes, string][] = [
    ["server", election.serverKey, signatures.server],
    ["chair", fromB64u(chair.key), signatures.chair],
    ...signatures.trustees.map(({ trustee, sig }): [string, Bytes, string] => [`trustee ${trustee}`, election.signKey(trustee), sig]),
  ];
  for (const [who, key, sig] of signed) hold(verifySignature(key, hash, fromB64u(sig)), `the tally is not signed by the ${who}`);
}

const tally = eachElection((election) => {
  const { manifest } = election;
  const { core } = election.files.tally;
  const stated = election.entries("intent")[0]?.aggregate ?? "";
  const expected = {
    election: manifest.election,
    manifest: manifest.id,
    closing: b64u(election.closingHash),
    aggregate: tooFew(election) ? "" : stated,
    cast: election.cast,
    exceptions: manifest.exceptions,
  };
  for (const [name, value] of Object.entries(expected)) hold(core[name as keyof typeof expected] === value, `${name} differs`);
  const { at } = given(election.entries("closing")[0], "the closing entry");
  const times = [manifest.openedAt, at, core.counted_at, manifest.timeLimit];
  hold(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0)), "times are not in order");
  const hash = tallyHash(core as JsonObject);
  hold(election.entries("tally")[0]?.hash === b64u(hash), "the board records another tally");
  requireTallySignatures(election, hash);
});

export const OPENING_CHECKS = { V17: intents, V18: shares, V19: shareProofs, V20: counts, V21: outcome, V22: tally };
