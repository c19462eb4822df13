/** Checks V08 to V16 and V29: the board, its voters and ballots, and closing. */
import { requireDue } from "../ballot/board.ts";
import { type Repeatable, electorate as requireElectorate, repeatsOf } from "../ballot/electorate.ts";
import { fromB64u, same } from "../ballot/encoding.ts";
import { countCosignatures } from "../ballot/note.ts";
import { type CheckRun, type Context, type Election, eachElection, within } from "./context.ts";
import { given, hold } from "./report.ts";
import { Scan, type ScanCheck } from "./scan.ts";

const order = eachElection(async (election) => {
  const { board, opening, closing, final } = election.files;
  hold(board.disorder === null, board.disorder ?? "");
  const notes = [["opening", opening, 1], ["closing", closing, board.closingSize], ["final", final, board.size]] as const;
  for (const [name, text, size] of notes) {
    await within(`${name} checkpoint`, () => {
      const { checkpoint } = election.note(text);
      hold(checkpoint.size === size && same(checkpoint.root, given(board.roots.get(size), "a root")), "another size or root than the board's");
    });
  }
});

const repeatable = ({ manifest, files }: Election): Repeatable => ({
  election: manifest.election, questions: manifest.questions, credentials: new Set(files.electorate.map(({ credential }) => credential)),
});

/** `repeats` names of this bundle's earlier votes exactly those that section 5 describes. */
function requireRepeats(election: Election, all: readonly Election[]): void {
  const { manifest } = election;
  const earlier = all.slice(0, all.indexOf(election)).filter((one) => one.manifest.secret);
  const expected = manifest.secret ? repeatsOf(repeatable(election), manifest.leastElectorate, earlier.map(repeatable)) : [];
  const known = new Set(all.map((one) => one.manifest.election));
  const named = manifest.repeats.filter((id) => known.has(id));
  hold(named.length === expected.length && expected.every((id) => named.includes(id)), "the manifest names other votes that this one nearly repeats");
}

const electorates: CheckRun = async (context) => {
  for (const election of context.elections) {
    await within(election.files.id, () => {
      requireElectorate(election.manifest, election.files.electorate);
      requireRepeats(election, context.elections);
      election.electorateHolds = true;
    });
  }
};

/** Reads the ballots of all elections once, for all checks that need them. */
async function readBallots(context: Context): Promise<void> {
  const total = context.elections.reduce((sum, { files }) => sum + files.board.ballots, 0);
  const sound = context.elections.every(({ electorateHolds }) => electorateHolds);
  let done = 0;
  for (const election of context.elections) {
    election.scan ??= await Scan.run({
      manifest: election.manifest, files: election.files, checker: context.checker, work: context.work, rng: context.rng,
      electorate: sound ? election.files.electorate : null,
      onBallot: () => context.work.progress(++done, total),
    });
  }
}

/** A check whose answer the reading of the ballots has found. */
const scanned = (id: ScanCheck): CheckRun =>
  async (context) => {
    await readBallots(context);
    for (const { files, read } of context.elections) {
      const fault = read.faults.get(id);
      hold(fault === undefined, `${files.id}: ${fault ?? ""}`);
    }
  };

const closing = eachElection((election) => {
  const { manifest, read, files } = election;
  const entry = given(files.board.entries("closing")[0], "the closing entry");
  hold(entry.ballots === read.lineages.ballots && entry.cast === read.lineages.cast, "the closing entry miscounts");
  requireDue(manifest, entry);
  const cosigners = manifest.cosigners.map(({ name, key }) => ({ name, key: fromB64u(key) }));
  const found = countCosignatures(election.note(files.closing), cosigners);
  hold(found >= manifest.cosignQuorum, `${found} cosignatures, ${manifest.cosignQuorum} are needed`);
});

export const BOARD_CHECKS = {
  V08: order, V09: electorates, V10: scanned("V10"), V11: scanned("V11"), V12: scanned("V12"), V13: scanned("V13"), V14: scanned("V14"),
  V15: scanned("V15"), V16: closing, V29: scanned("V29"),
} satisfies Record<string, CheckRun>;
