/** What the auditor's page and its worker say to each other. */
import type { Check, CheckId } from "./report.ts";
import type { Verification } from "./verify.ts";

export type Order = { type: "run"; bundle: Blob; annex: Blob | null; identities: string } | { type: "stop" };

export type News =
  | { type: "start"; id: CheckId }
  | { type: "progress"; id: CheckId; done: number; total: number }
  | { type: "check"; check: Check }
  | { type: "done"; verification: Verification }
  | { type: "stopped" }
  | { type: "broken"; message: string };
