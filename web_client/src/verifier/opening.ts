/** Checks V17 to V22 and V30: intents, shares, counts, outcome, tally and evidence. */
import { type Part, castingMessage, intentMessage, rejectedHash, shareMessage } from "../ballot/entries.ts";
import { type Bytes, type Json, type JsonObject, b64u, fromB64u, jcs, same } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { evaluate, quorumOf } from "../ballot/rules.ts";
import { verifySignature } from "../ballot/signing.ts";
import { combine, requireValidParts, tallyHash } from "../ballot/tally.ts";
import { type Election, different, eachElection } from "./context.ts";
import type { EntryOf, ShareForm } from "./formats.ts";
import { given, hold } from "./report.ts";

const equal = (a: Json, b: Json): boolean => same(jcs(a), jcs(b));

const oneEach = (entries: readonly { trustee: number }[]): boolean => different(entries.map(({ trustee }) => String(trustee)));

const intents = eachElection((election) => {
  const { manifest, files } = election;
  const all = files.board.entries("intent");
  hold(election.opened || all.length === 0, "an intent although there is nothing to open");
  hold(oneEach(all), "a trustee has two intents");
  const closing = election.closingHash;
  for (const { trustee, manifest: named, closing: closed, aggregate, sig } of all) {
    const right = named === manifest.id && closed === b64u(closing) && aggregate === b64u(election.aggregate.hash);
    hold(right, "an intent names another ballot box");
    const message = intentMessage(manifest.hash, closing, election.aggregate.hash, trustee);
    hold(verifySignature(election.signKey(trustee), message, fromB64u(sig)), `the intent of trustee ${trustee} is not signed`);
  }
  const announced = new Set<number>();
  for (const entry of files.board.kept) {
    if (entry.type === "intent") announced.add(entry.trustee);
    else if (entry.type === "share") hold(announced.has(entry.trustee), "a share before its trustee's intent");
  }
});

/** Throws unless its trustee signed this share for the recomputed aggregate. */
function requireSignedShare(election: Election, { trustee, manifest: named, aggregate, parts, sig }: ShareForm): void {
  const { manifest } = election;
  hold(named === manifest.id && aggregate === b64u(election.aggregate.hash), "a share names another ballot box");
  const message = shareMessage(manifest.hash, election.aggregate.hash, trustee, parts);
  hold(verifySignature(election.signKey(trustee), message, fromB64u(sig)), `the share of trustee ${trustee} is not signed`);
}

const shares = eachElection((election) => {
  const all = election.files.board.entries("share");
  hold(election.opened || all.length === 0, "a share although there is nothing to open");
  hold(oneEach(all), "a trustee has two shares");
  for (const share of all) requireSignedShare(election, share);
});

type PartForm = EntryOf<"share">["parts"][number][number];
const readPart = ({ d, u, w, z }: PartForm): Part => ({ d: fromB64u(d), u: fromB64u(u), w: fromB64u(w), z: fromB64u(z) });
const partsOf = ({ parts }: ShareForm): Part[][] => parts.map((row) => row.map(readPart));

const shareProofs = eachElection(async (election, { work }) => {
  await work.each(election.files.board.entries("share"), (share) => {
    requireValidParts(election.manifest, election.aggregate, share.trustee, partsOf(share));
  });
});

const counts = eachElection((election) => {
  const { manifest, files, read } = election;
  const { core } = files.tally;
  if (!election.opened) {
    hold(equal(core.counts, manifest.secret ? [] : read.sums.counts(manifest)), "other counts than the ballots give");
    return;
  }
  const shared = files.board.entries("share").map((share) => ({ trustee: share.trustee, parts: partsOf(share) }));
  hold(equal(core.counts, combine(manifest, election.aggregate, shared, read.lineages.castWeight)), "the shares give other counts");
});

const outcome = eachElection((election) => {
  const { manifest, files, read } = election;
  const { core } = files.tally;
  const turnout = { cast: read.lineages.cast, castWeight: read.lineages.castWeight };
  hold(equal(core.quorum, { ...quorumOf(manifest, turnout) }), "another quorum");
  const sizes = election.tooFew ? [] : manifest.layouts.map(({ cells }) => cells);
  hold(equal(core.counts.map((row) => row.length), sizes), "counts do not fit the questions");
  const castings = files.board.entries("casting");
  hold(different(castings.map(({ question }) => String(question))), "a question has two casting votes");
  for (const { question, options, sig } of castings) {
    const message = castingMessage(manifest.hash, election.closingHash, question, options);
    hold(verifySignature(election.chairKey, message, fromB64u(sig)), "a casting vote is not signed by the chair");
  }
  const own = evaluate(manifest, turnout, core.counts, new Map(castings.map(({ question, options }) => [question, options])));
  hold(equal(core.outcome, own.map((one) => ({ ...one }))), "another outcome");
});

function requireTallySignatures(election: Election, hash: Bytes): void {
  const { signatures } = election.files.tally;
  const signers = signatures.trustees.map(({ trustee }) => trustee);
  hold(signers.every((trustee, i) => i === 0 || trustee > (signers[i - 1] ?? 0)), "the trustees who signed are not ascending");
  const enough = election.opened ? signers.length >= election.manifest.trustees.threshold : signers.length === 0;
  hold(enough, "other trustees sign the tally than the rules ask for");
  const signed: [string, Bytes, string][] = [
    ["server", election.serverKey, signatures.server],
    ["chair", election.chairKey, signatures.chair],
    ...signatures.trustees.map(({ trustee, sig }): [string, Bytes, string] => [`trustee ${trustee}`, election.signKey(trustee), sig]),
  ];
  for (const [who, key, sig] of signed) hold(verifySignature(key, hash, fromB64u(sig)), `the tally is not signed by the ${who}`);
}

interface Hall {
  site: string;
  state: string;
  ballots: number;
}

/** Order and words of the halls that a vote did not reach; whether they are true the server alone says. */
function requireHalls(halls: readonly Hall[]): void {
  hold(halls.every(({ site }, i) => i === 0 || site > (halls[i - 1]?.site ?? "")), "halls are not ascending");
  for (const { state, ballots } of halls) hold(ballots > 0 ? state === "late" : state === "unreachable", "a hall's state does not fit its ballots");
}

const tally = eachElection((election) => {
  const { manifest, files, read } = election;
  const { core } = files.tally;
  const { ballots, cast, castWeight, replacements, kiosk, voids } = read.lineages;
  const expected = {
    election: manifest.election, manifest: manifest.id, closing: b64u(election.closingHash),
    aggregate: files.board.entries("intent")[0]?.aggregate ?? "",
    ballots, cast, cast_weight: castWeight, replacements, kiosk, voids, exceptions: manifest.exceptions,
  };
  for (const [name, value] of Object.entries(expected)) hold(core[name as keyof typeof expected] === value, `${name} differs`);
  requireHalls(core.halls);
  const { ended, at } = given(files.board.entries("closing")[0], "the closing entry");
  const times = [manifest.openedAt, ended, at, core.counted_at, manifest.timeLimit];
  hold(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0)), "times are not in order");
  const hash = tallyHash(core as JsonObject);
  hold(files.board.entries("tally")[0]?.hash === b64u(hash), "the board records another tally");
  requireTallySignatures(election, hash);
});

/** True when the share has as many parts as there are cells, and one of its proofs fails. */
function isWrong(election: Election, share: ShareForm): boolean {
  const { layouts } = election.manifest;
  hold(share.parts.length === layouts.length && layouts.every(({ cells }, q) => share.parts[q]?.length === cells), "a refused share does not fit the questions");
  try {
    requireValidParts(election.manifest, election.aggregate, share.trustee, partsOf(share));
    return false;
  } catch (error) {
    if (error instanceof VotingError) return true;
    throw error;
  }
}

const evidence = eachElection((election) => {
  const { rejected, tally: { core } } = election.files;
  const named = rejected.map((share) => ({ trustee: share.trustee, hash: b64u(rejectedHash(share as JsonObject)) }));
  hold(equal(core.rejected, named), "the tally names other shares as refused");
  hold(election.opened || rejected.length === 0, "a refused share although there is nothing to open");
  for (const share of rejected) {
    requireSignedShare(election, share);
    hold(isWrong(election, share), `the refused share of trustee ${share.trustee} is right`);
  }
});

export const OPENING_CHECKS = { V17: intents, V18: shares, V19: shareProofs, V20: counts, V21: outcome, V22: tally, V30: evidence };
