/** The chosen files: which is which, their digests, the command for them, and the digests of the page itself. */

export type Kind = "bundle" | "annex";

export interface Chosen {
  kind: Kind;
  file: File;
  sha256: string;
}

/** Beyond this no zip is read, so its digest is not worth the memory. */
const MAX_BYTES = 256 * 2 ** 20;
const DIRECTORY_BYTES = 64 * 1024;

export async function sha256Hex(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An annex lists annex.json, and only that, in the directory at the end of its zip. */
async function kindOf(file: Blob): Promise<Kind> {
  const tail = new TextDecoder("latin1").decode(await file.slice(-DIRECTORY_BYTES).arrayBuffer());
  return tail.includes("annex.json") && !tail.includes("bundle.json") ? "annex" : "bundle";
}

/** The files with their kinds; of several of one kind the last counts. */
export async function choose(files: readonly File[]): Promise<Chosen[]> {
  const byKind = new Map<Kind, Chosen>();
  for (const file of files) {
    const kind = await kindOf(file);
    const sha256 = file.size > MAX_BYTES ? "" : await sha256Hex(await file.arrayBuffer());
    byKind.set(kind, { kind, file, sha256 });
  }
  return (["bundle", "annex"] as const).flatMap((kind) => byKind.get(kind) ?? []);
}

/** Names with other characters than these are quoted for a shell. */
const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

/** The command line that checks the same files. */
export function commandFor(bundle: string, annex: string | null): string {
  return `folkmoot-verify ${quoted(bundle)}${annex === null ? "" : ` --annex ${quoted(annex)}`}`;
}

export interface Digest {
  name: string;
  sha256: string;
}

/** One digest for several files: of their lines as `sha256sum` writes them, sorted. */
export function combined(digests: readonly Digest[]): Promise<string> {
  const lines = digests.map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  return sha256Hex(new TextEncoder().encode(lines.sort().join("")));
}

export interface PageDigest {
  files: Digest[];
  all: string;
}

/** Digests of the page, its script, its styles and the verifier, read again from where they came. */
export async function pageDigest(verifier: string): Promise<PageDigest> {
  const named = [...document.querySelectorAll<HTMLElement>("script[src], link[rel=stylesheet], link[rel=modulepreload]")];
  const urls = named.map((one) => one.getAttribute("src") ?? one.getAttribute("href") ?? "").map((url) => new URL(url, location.href).href);
  const files: Digest[] = [];
  for (const url of [new URL(location.pathname, location.href).href, ...new Set([...urls, verifier])]) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(url);
    files.push({ name: new URL(url).pathname, sha256: await sha256Hex(await response.arrayBuffer()) });
  }
  return { files, all: await combined(files) };
}
