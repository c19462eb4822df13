/** Section 3: the public core of the roll. */
import { type Bytes, H, type Json, b64u, jcs } from "./encoding.ts";
import { type Manifest, readRp } from "./manifest.ts";
import { Fields } from "./strict.ts";

export interface Roll {
  meeting: string;
  organisation: string;
  root: string;
  size: number;
  /** Sum of the entries' weights. */
  weight: number;
  exceptions: number;
  frozenAt: number;
  rp: Manifest["rp"];
  registrar: { passkey: string; key: string };
  hash: Bytes;
  /** The hash as b64u. */
  id: string;
}

const MAX = Number.MAX_SAFE_INTEGER;
const MAX_WEIGHT = 100_000_000;

/** Reads a roll's core strictly and hashes it. @throws VotingError `voting.encoding` */
export function readRoll(core: Json): Roll {
  const f = new Fields(core, "The roll", ["v", "meeting", "organisation", "root", "size", "weight", "exceptions", "frozen_at", "rp", "registrar"]);
  f.exactly("v", 1);
  const registrar = new Fields(f.raw("registrar"), "The registrar", ["passkey", "key"]);
  const size = f.int("size", 0, MAX);
  const hash = H("fm1/roll", jcs(core));
  return {
    meeting: f.id("meeting"),
    organisation: f.id("organisation"),
    root: f.b64("root", 32),
    size,
    weight: f.int("weight", 0, MAX_WEIGHT),
    exceptions: f.int("exceptions", 0, MAX),
    frozenAt: f.int("frozen_at", 0, MAX),
    rp: readRp(f.raw("rp")),
    registrar: { passkey: b64u(registrar.bytes("passkey")), key: b64u(registrar.bytes("key")) },
    hash,
    id: b64u(hash),
  };
}
