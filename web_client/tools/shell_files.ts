/** Which built files the application needs to start without a network, and the head of its worker that pins them. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Rolldown } from "vite";

type Bundle = Rolldown.OutputBundle;
type Chunk = Rolldown.OutputChunk & { viteMetadata?: { importedCss: Set<string> } };

/** The screens that say something without a server: what was kept of meetings and papers. */
const SCREENS = ["screens/meeting.tsx", "screens/room/room.tsx", "screens/room/papers.tsx"];
/** Where the screens are made lazy, each with the groups of sentences that it needs. */
const LAZY = ["src/app.tsx", "src/screens/room/room.tsx"];
const LANGUAGES = ["en", "vi"];
const BASE_GROUPS = ["", "errors_", "rules_"];
const ROOT_FILES = ["icon.svg", "manifest.webmanifest"];
/** How a page, script or style names the scripts and styles that it may load. */
const NAMED = /["'`(](?:\/?assets\/|\.\/)([\w.-]+\.(?:js|css))["'`)]/g;

/** The groups of sentences that the screens are made lazy with. */
export function groupsOf(source: string, screens: readonly string[]): string[] {
  return [...source.matchAll(/import\("\.\/([^"]+)"\)\)[^[\n]*\[([^\]]*)\]/g)]
    .filter(([, module]) => screens.some((screen) => screen.endsWith(`/${module?.split("/").at(-1) ?? ""}`)))
    .flatMap(([, , groups]) => [...(groups ?? "").matchAll(/"(\w+)"/g)].map((found) => found[1] ?? ""));
}

/** The modules behind the shell: the page's own, its screens, and their sentences in every language. */
function modules(root: string): string[] {
  const groups = new Set(LAZY.flatMap((path) => groupsOf(readFileSync(join(root, path), "utf8"), SCREENS)));
  const sentences = [...BASE_GROUPS, ...[...groups].map((group) => `${group}_`)];
  return ["main.tsx", ...SCREENS, ...sentences.flatMap((name) => LANGUAGES.map((language) => `i18n/${name}${language}.json`))].map((path) => `/src/${path}`);
}

/** A chunk with all that it imports before it can run, and their styles. */
function closure(bundle: Bundle, fileName: string, found: Set<string>): void {
  const chunk = bundle[fileName] as Chunk | undefined;
  if (found.has(fileName) || chunk?.type !== "chunk") return;
  found.add(fileName);
  for (const style of chunk.viteMetadata?.importedCss ?? []) found.add(style);
  for (const imported of chunk.imports) closure(bundle, imported, found);
}

/** A page and every script and style that it may ever load. */
function reachable(out: string, name: string, found: Set<string>): void {
  if (found.has(name) || !existsSync(join(out, name))) return;
  found.add(name);
  for (const [, asset] of readFileSync(join(out, name), "utf8").matchAll(NAMED)) reachable(out, `assets/${asset ?? ""}`, found);
}

function shellFiles(bundle: Bundle, root: string, out: string): string[] {
  const found = new Set<string>();
  const chunks = Object.values(bundle).filter((one): one is Chunk => one.type === "chunk");
  for (const module of modules(root)) {
    // What is asked for by name may be a file of its own before the one that holds the module.
    const holders = chunks.filter(({ facadeModuleId, moduleIds }) => [facadeModuleId ?? "", ...moduleIds].some((id) => id.endsWith(module)));
    if (holders.length === 0) throw new Error(`${module} is in no built file`);
    for (const { fileName } of holders) closure(bundle, fileName, found);
  }
  const booth = new Set<string>();
  reachable(out, "booth.html", booth);
  return [...found, ...booth, ...ROOT_FILES].toSorted();
}

const sha256 = (bytes: Buffer | string, encoding: "base64" | "hex"): string => createHash("sha256").update(bytes).digest(encoding);

/** The first line of the worker: the paths and digests of its files, and a version made of them. */
export function shellHead(bundle: Bundle, root: string, out: string): string {
  const digest = (name: string): string => sha256(readFileSync(join(out, name)), "base64");
  const names = [...new Set(shellFiles(bundle, root, out))];
  const files = { "/": digest("index.html"), ...Object.fromEntries(names.map((name) => [`/${name}`, digest(name)])) };
  const version = sha256(JSON.stringify(files), "hex").slice(0, 16);
  return `const FOLKMOOT_SHELL = ${JSON.stringify({ version, files })};\n`;
}
