/** The chosen files: which is which, their digests, the command for them, and the digests of the page itself. */
import { isAgeFile } from "../verifier/age.ts";

export type Kind = "bundle" | "annex" | "identity";
const KINDS: readonly Kind[] = ["bundle", "annex", "identity"];

export interface Chosen {
  kind: Kind;
  file: File;
  /** "" for a key file, which nobody should publish a digest of, and for what is too large to be read. */
  sha256: string;
}

/** Beyond this no zip is read, so its digest is not worth the time. */
const MAX_BYTES = 256 * 2 ** 20;
const DIRECTORY_BYTES = 64 * 1024;
const MAX_KEY_FILE = 64 * 1024;
/** Names the files of this page with their digests; written by the build beside it. */
export const DIGEST_FILE = "/auditor-digest.txt";

export async function sha256Hex(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An annex is an age file, or lists annex.json in the directory at the end of its zip; a key file holds an age identity. */
async function kindOf(file: Blob): Promise<Kind> {
  if (await isAgeFile(file)) return "annex";
  if (file.size <= MAX_KEY_FILE && (await file.text()).includes("AGE-SECRET-KEY-1")) return "identity";
  const tail = new TextDecoder("latin1").decode(await file.slice(-DIRECTORY_BYTES).arrayBuffer());
  return tail.includes("annex.json") && !tail.includes("bundle.json") ? "annex" : "bundle";
}

/** The files with their kinds; of several of one kind the last counts. */
export async function choose(files: readonly File[]): Promise<Chosen[]> {
  const byKind = new Map<Kind, Chosen>();
  for (const file of files) {
    const kind = await kindOf(file);
    const sha256 = kind === "identity" || file.size > MAX_BYTES ? "" : await sha256Hex(await file.arrayBuffer());
    byKind.set(kind, { kind, file, sha256 });
  }
  return KINDS.flatMap((kind) => byKind.get(kind) ?? []);
}

/** Names with other characters than these are quoted for a shell. */
const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

/** The command line that checks the same files. */
export function commandFor(bundle: string, annex: string | null, identity: string | null = null): string {
  const option = (name: string, value: string | null): string => (value === null ? "" : ` --${name} ${quoted(value)}`);
  return `folkmoot-verify ${quoted(bundle)}${option("annex", annex)}${option("identity", identity)}`;
}

export interface Digest {
  name: string;
  sha256: string;
}

/** One digest for several files: of their lines as `sha256sum` writes them, sorted by name. */
export function combined(digests: readonly Digest[]): Promise<string> {
  const lines = [...digests].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  return sha256Hex(new TextEncoder().encode(lines.join("")));
}

export interface PageDigest {
  files: Digest[];
  all: string;
  /** Whether the file written by the build says the same. */
  asBuilt: boolean;
}

/** The names and the digest over all of them in `auditor-digest.txt`. */
export function readDigestFile(text: string): { names: string[]; all: string } {
  const lines = text.split("\n").filter((line) => /^[0-9a-f]{64} {2}\S+$/.test(line)).map((line) => ({ sha256: line.slice(0, 64), name: line.slice(66) }));
  const names = lines.map(({ name }) => name);
  return { names: names.slice(0, -1), all: lines.at(-1)?.sha256 ?? "" };
}

async function bytesAt(path: string): Promise<ArrayBuffer> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(path);
  return response.arrayBuffer();
}

/** Digests of every file that belongs to this page, read again from where they came. */
export async function pageDigest(): Promise<PageDigest> {
  const built = readDigestFile(new TextDecoder().decode(await bytesAt(DIGEST_FILE)));
  const files: Digest[] = [];
  for (const name of built.names) files.push({ name, sha256: await sha256Hex(await bytesAt(`/${name}`)) });
  const all = await combined(files);
  return { files, all, asBuilt: all === built.all };
}
