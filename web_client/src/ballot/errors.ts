/** The one error of the ballot protocol in the page. */

export type VotingCode =
  | "voting.encoding"
  | "voting.point"
  | "voting.scalar"
  | "voting.signature"
  | "voting.manifest"
  | "voting.ballot-refused"
  | "voting.ballot-malformed"
  | "voting.ballot-foreign"
  | "voting.ballot-signature"
  | "voting.ballot-bytes"
  | "voting.ballot-option-proof"
  | "voting.ballot-sum-proof"
  | "voting.ballot-void"
  | "voting.ballot-already-cast"
  | "voting.ballot-not-elector"
  | "voting.ballot-point-repeated"
  | "voting.choice"
  | "voting.note"
  | "voting.board-order"
  | "voting.board-differs"
  | "voting.not-on-the-board"
  | "voting.promise"
  | "voting.already-cast"
  | "voting.nothing-to-cast"
  | "voting.not-in-the-electorate"
  | "voting.keygen"
  | "voting.keygen-order"
  | "voting.keygen-second"
  | "voting.box"
  | "voting.no-secrets"
  | "voting.code-not-confirmed"
  | "voting.too-few"
  | "voting.cosignatures"
  | "voting.second-aggregate"
  | "voting.second-closing"
  | "voting.share"
  | "voting.tally"
  | "voting.ledger"
  | "voting.server-key-changed"
  | "voting.roll"
  | "voting.small-electorate"
  | "voting.replacement"
  | "voting.audit"
  | "voting.too-early"
  | "voting.copy"
  | "voting.worker";

/** A refusal with a stable `code` for programs and a sentence for people. */
export class VotingError extends Error {
  readonly code: VotingCode;

  constructor(code: VotingCode, message: string) {
    super(message);
    this.name = "VotingError";
    this.code = code;
  }
}

/** Runs `work` and gives every `VotingError` out of it the code `code`. */
export function withCode<T>(code: VotingCode, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof VotingError ? new VotingError(code, error.message) : error;
  }
}

/** Throws a `VotingError` unless `condition` holds. */
export function ensure(condition: boolean, code: VotingCode, message: string): asserts condition {
  if (!condition) throw new VotingError(code, message);
}
