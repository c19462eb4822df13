/** What a passed verification confirms, as data for a page or a terminal. */
import { sha256 } from "@noble/hashes/sha2.js";
import { fromB64u, hex } from "../ballot/encoding.ts";
import type { Context } from "./context.ts";
import { given } from "./report.ts";

export interface QuestionResult {
  type: string;
  text: string;
  options: string[];
  /** One per option; empty when too few voted. */
  counts: number[];
  kind: string;
  option: number;
}

export interface Results {
  organisation: string;
  meeting: string;
  /** b64u, as in bundle.json. */
  serverKey: string;
  /** SHA-256 of the key's 32 bytes, lower-case hex. */
  fingerprint: string;
  annex: boolean;
  elections: { id: string; title: string; cast: number; electorate: number; questions: QuestionResult[] }[];
}

/** Call when every check has passed. */
export function resultsOf({ bundle, annex, elections }: Context): Results {
  const key = bundle.info.server_key;
  return {
    organisation: bundle.info.organisation.name,
    meeting: bundle.info.meeting.title,
    serverKey: key,
    fingerprint: hex(sha256(fromB64u(key))),
    annex: annex !== null,
    elections: elections.map(({ manifest, files, cast }) => ({
      id: files.id,
      title: manifest.title,
      cast,
      electorate: manifest.electorateSize,
      questions: manifest.questions.map(({ type, text, options }, q) => {
        const { kind, option } = given(files.tally.core.outcome[q], "an outcome");
        return { type, text, options, counts: files.tally.core.counts[q] ?? [], kind, option };
      }),
    })),
  };
}
