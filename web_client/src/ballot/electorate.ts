/** Section 5: the list of those who may vote. */
import { type Bytes, H, b64u, jcs } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";

const MAX_WEIGHT = 1_000_000;

export interface Elector {
  /** First credential of the lineage, b64u. */
  credential: string;
  weight: number;
  /** The roll's name in a roll-call vote, else "". */
  name: string;
}

/** `electorate_hash` of a list that must be sorted and free of duplicates. @throws VotingError `voting.manifest` */
export function electorateHash(list: readonly Elector[]): Bytes {
  const ordered = list.every(({ credential }, i) => i === 0 || (list[i - 1]?.credential ?? "") < credential);
  ensure(ordered, "voting.manifest", "The electorate is not sorted or names someone twice.");
  return H("fm1/electorate", jcs(list));
}

/** How often each weight occurs. */
export function weightCounts(list: readonly Elector[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { weight } of list) counts.set(weight, (counts.get(weight) ?? 0) + 1);
  return counts;
}

/**
 * The weights by credential, when the list is the manifest's electorate and large enough for a secret vote.
 * @throws VotingError `voting.manifest`, `voting.small-electorate`
 */
export function electorate(manifest: OpenManifest, list: readonly Elector[]): ReadonlyMap<string, number> {
  const agrees =
    b64u(electorateHash(list)) === manifest.electorate && list.length === manifest.electorateSize &&
    list.reduce((sum, { weight }) => sum + weight, 0) === manifest.electorateWeight && list.every(({ weight }) => weight >= 1 && weight <= MAX_WEIGHT);
  ensure(agrees, "voting.manifest", "The list of voters is not the one in the manifest.");
  if (manifest.secret) {
    const few = [...weightCounts(list).values()].some((n) => n < manifest.leastElectorate);
    ensure(!few, "voting.small-electorate", "So few voters have one of the weights that the result could tell their choices.");
  }
  ensure(new Set(manifest.repeats).size === manifest.repeats.length, "voting.manifest", "An earlier vote is named twice.");
  const named = list.every(({ name }) => (manifest.secrecy === "roll-call") === (name !== ""));
  ensure(named, "voting.manifest", "The list of voters has names where it must not, or lacks them.");
  return new Map(list.map(({ credential, weight }) => [credential, weight]));
}

/** The elector with this credential. @throws VotingError `voting.not-in-the-electorate` and those of `electorate` */
export function requireElector(manifest: OpenManifest, list: readonly Elector[], credential: string): number {
  const weight = electorate(manifest, list).get(credential);
  ensure(weight !== undefined, "voting.not-in-the-electorate", "This device's voting key is not in the list of voters.");
  return weight;
}

/** What decides whether one secret vote nearly repeats another. */
export interface Repeatable {
  election: string;
  questions: readonly { type: string; options: readonly string[] }[];
  credentials: ReadonlySet<string>;
}

/**
 * The earlier secret votes (section 5, "Repeats") of which this one asks the same of almost the same people:
 * sets of voters that differ by 1 to `least` − 1 members.
 */
export function repeatsOf(vote: Repeatable, least: number, earlier: readonly Repeatable[]): string[] {
  const asked = ({ questions }: Repeatable): string => JSON.stringify(questions.map(({ type, options }) => [type, options]));
  return earlier
    .filter((other) => {
      if (asked(other) !== asked(vote)) return false;
      const added = [...vote.credentials].filter((one) => !other.credentials.has(one)).length;
      const gone = [...other.credentials].filter((one) => !vote.credentials.has(one)).length;
      const difference = Math.max(added, gone);
      return difference >= 1 && difference < least;
    })
    .map(({ election }) => election);
}
