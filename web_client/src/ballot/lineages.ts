/** Section 6: whose ballot is whose. Folds replacements, voids and ballots in the order of the board. */
import { type ReadBallot, requireNative, sealedHash } from "./ballot.ts";
import { b64u } from "./encoding.ts";
import type { Replacement, Void } from "./entries.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";

export const MAX_VOIDS = 5;

export interface Lineage {
  /** First credential, as in the electorate; b64u. */
  first: string;
  current: string;
  weight: number;
  /** Ballots so far, and the leaf of the last (b64u, "" before the first). */
  seq: number;
  prev: string;
  voids: number;
}

/** What to check of a lineage: V10 and, apart from it, V29. */
export class Lineages {
  private readonly manifest: OpenManifest;
  private readonly byCredential = new Map<string, Lineage>();
  private readonly voided = new Set<string>();
  private readonly sealed = new Set<string>();
  ballots = 0;
  cast = 0;
  castWeight = 0;
  replacements = 0;
  kiosk = 0;
  voids = 0;

  constructor(manifest: OpenManifest, electorate: Iterable<readonly [credential: string, weight: number]>) {
    this.manifest = manifest;
    for (const [credential, weight] of electorate) {
      this.byCredential.set(credential, { first: credential, current: credential, weight, seq: 0, prev: "", voids: 0 });
    }
  }

  /** The lineage whose current credential this is. @throws VotingError `voting.ballot-not-elector` */
  current(credential: string): Lineage {
    const lineage = this.byCredential.get(credential);
    ensure(lineage !== undefined && lineage.current === credential, "voting.ballot-not-elector", "A voting key is not that of anybody who may vote.");
    return lineage;
  }

  /** The lineage of any credential it ever had, or undefined. */
  find(credential: string): Lineage | undefined {
    return this.byCredential.get(credential);
  }

  /** @throws VotingError `voting.replacement`, `voting.ballot-not-elector` */
  replace({ old, new: fresh, kiosk }: Replacement): void {
    const lineage = this.current(old);
    const { votingAgain, kiosk: kiosks } = this.manifest;
    ensure(!this.byCredential.has(fresh), "voting.replacement", "A voting key was used before in this vote.");
    ensure(!kiosk || kiosks, "voting.replacement", "This vote has no kiosk.");
    ensure(votingAgain === "last-counts" || lineage.seq === 0, "voting.replacement", "A voter who has voted cannot change the voting key.");
    lineage.current = fresh;
    this.byCredential.set(fresh, lineage);
    this.replacements += 1;
    if (kiosk) this.kiosk += 1;
  }

  /**
   * Takes a ballot whose board entry has this leaf (b64u). Returns the lineage as it then is; `seq` 1 means its first.
   * @throws VotingError `voting.ballot-foreign`, `voting.ballot-not-elector`, `voting.ballot-already-cast`
   */
  vote(ballot: ReadBallot, leaf: string): Lineage {
    requireNative(this.manifest, ballot);
    const lineage = this.current(b64u(ballot.credential));
    ensure(ballot.weight === lineage.weight, "voting.ballot-foreign", "A ballot carries another weight than its voter.");
    ensure(this.manifest.votingAgain === "last-counts" || lineage.seq === 0, "voting.ballot-already-cast", "A voter has two ballots on the board.");
    const next = ballot.seq === lineage.seq + 1 && ballot.prev === lineage.prev;
    ensure(next, "voting.ballot-foreign", "A ballot does not follow the ballot before of the same voter.");
    lineage.seq += 1;
    lineage.prev = leaf;
    this.ballots += 1;
    if (lineage.seq === 1) {
      this.cast += 1;
      this.castWeight += lineage.weight;
    }
    return lineage;
  }

  /** Takes a void by the current credential of a lineage; its signature is another matter. @throws VotingError `voting.ballot-not-elector` */
  void({ credential }: Void): void {
    this.current(credential);
    this.voids += 1;
  }

  /** What section 7 asks of a void besides: V29. @throws VotingError `voting.ballot-void`, before anything is changed */
  countVoid({ credential, sealed }: Void): void {
    ensure(!this.voided.has(sealed) && !this.sealed.has(sealed), "voting.ballot-void", "A sealed vote was voided twice, or cast and voided.");
    const lineage = this.byCredential.get(credential);
    ensure(lineage === undefined || lineage.voids < MAX_VOIDS, "voting.ballot-void", "A voter has more than five audited votes.");
    if (lineage !== undefined) lineage.voids += 1;
    this.voided.add(sealed);
  }

  /** Throws when the ballot was audited. @throws VotingError `voting.ballot-void` */
  requireNotVoid(ballot: ReadBallot): void {
    const sealed = b64u(sealedHash(this.manifest.hash, ballot.json));
    ensure(!this.voided.has(sealed), "voting.ballot-void", "A ballot on the board was audited and must not be cast.");
    this.sealed.add(sealed);
  }
}
