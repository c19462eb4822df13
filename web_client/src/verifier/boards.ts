/** Checks V08 to V12, V15 and V16: the board, its ballots without their proofs, and closing. */
import { type ReadBallot, ballotSigned, decodeProofs, pointBytes, requireNative } from "../ballot/ballot.ts";
import { b64u, fromB64u, same } from "../ballot/encoding.ts";
import { electorateHash } from "../ballot/manifest.ts";
import { Tree } from "../ballot/merkle.ts";
import { countCosignatures } from "../ballot/note.ts";
import { type CheckRun, type Election, eachBallot, eachElection, within } from "./context.ts";
import type { BoardEntry } from "./formats.ts";
import { given, hold } from "./report.ts";

type Phase = "empty" | "open" | "closed" | "done";
const NEXT: Readonly<Record<Phase, Partial<Record<BoardEntry["type"], Phase>>>> = {
  empty: { opening: "open" },
  open: { ballot: "open", closing: "closed" },
  closed: { intent: "closed", share: "closed", tally: "done" },
  done: {},
};

/** Roots of the tree at some sizes. */
export function rootsAt(leaves: readonly Uint8Array<ArrayBuffer>[], sizes: Iterable<number>): Map<number, Uint8Array<ArrayBuffer>> {
  const wanted = new Set(sizes);
  const tree = new Tree();
  const roots = new Map<number, Uint8Array<ArrayBuffer>>();
  if (wanted.has(0)) roots.set(0, tree.root());
  for (const leaf of leaves) {
    tree.append(leaf);
    if (wanted.has(tree.size)) roots.set(tree.size, tree.root());
  }
  return roots;
}

const order = eachElection(async (election) => {
  const { board, opening, closing, final } = election.files;
  let phase: Phase = "empty";
  let closed = 0;
  for (const [i, { entry }] of board.entries()) {
    const next: Phase | undefined = NEXT[phase][entry.type];
    hold(next !== undefined, `entry ${i}: ${entry.type} may not stand here`);
    if (entry.type === "closing") closed = i + 1;
    phase = next;
  }
  hold(phase === "done", "the board does not end with a tally");
  const notes = [["opening", opening, 1], ["closing", closing, closed], ["final", final, board.length]] as const;
  const roots = rootsAt(election.leaves, notes.map(([, , size]) => size));
  for (const [name, text, size] of notes) {
    await within(`${name} checkpoint`, () => {
      const { checkpoint } = election.note(text);
      hold(checkpoint.size === size && same(checkpoint.root, given(roots.get(size), "a root")), "another size or root than the board's");
    });
  }
});

const electorate = eachElection((election, { annex }) => {
  const { manifest } = election;
  const voters = new Set(election.ballots.map(({ credential }) => b64u(credential)));
  hold(voters.size <= manifest.electorateSize, "more voters than electors");
  if (annex === null) return;
  const theirs = annex.checkins.filter(({ elections }) => elections.includes(manifest.election));
  const listed = theirs.map(({ credential }) => credential).sort();
  hold(listed.length === manifest.electorateSize, "another size of the electorate");
  const hash = electorateHash(listed.map((credential) => ({ credential, weight: 1 })));
  hold(b64u(hash) === manifest.electorate, "another electorate than the manifest's");
  const electors = new Set(listed);
  hold([...voters].every((voter) => electors.has(voter)), "a voter is not in the electorate");
});

const bindings = eachElection(async (election, { work }) => {
  const seen = new Set<string>();
  await work.each(election.ballots, (ballot, i) =>
    within(`ballot ${i + 1}`, () => {
      requireNative(election.manifest, ballot);
      const credential = b64u(ballot.credential);
      hold(!seen.has(credential), "this credential has voted twice");
      seen.add(credential);
    }),
  );
});

const signatures = eachBallot((election, ballot) => hold(ballotSigned(election.manifest, ballot), "the signature does not verify"));

const bytes = eachElection(async (election, { work }) => {
  const proofs: NonNullable<Election["proofs"]> = [];
  await work.each(election.ballots, (ballot, i) =>
    within(`ballot ${i + 1}`, () => {
      proofs.push(decodeProofs(election.manifest, ballot));
    }),
  );
  election.proofs = proofs;
});

const pointsOf = (ballot: ReadBallot): string[] => ballot.choices.flatMap(pointBytes).map(b64u);

const copies = eachElection((election) => {
  const seen = new Set<string>();
  for (const [i, ballot] of election.ballots.entries()) {
    const points = pointsOf(ballot);
    hold(!points.some((point) => seen.has(point)), `ballot ${i + 1}: a point of an earlier ballot`);
    for (const point of points) seen.add(point);
  }
});

const closing = eachElection((election) => {
  const { manifest } = election;
  hold(election.entries("closing")[0]?.cast === election.cast, "the closing entry miscounts");
  const cosigners = manifest.cosigners.map(({ name, key }) => ({ name, key: fromB64u(key) }));
  const found = countCosignatures(election.note(election.files.closing), cosigners);
  hold(found >= manifest.cosignQuorum, `${found} cosignatures, ${manifest.cosignQuorum} are needed`);
});

/** V13 and V14 stand in proofs.ts. */
export const BOARD_CHECKS = {
  V08: order, V09: electorate, V10: bindings, V11: signatures, V12: bytes, V15: copies, V16: closing,
} satisfies Record<string, CheckRun>;
