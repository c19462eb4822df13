/**
 * Lets Node run the client's TypeScript as it stands, whatever the Node version:
 * per-file compilation (so `import.meta.url` and stack lines stay true), JSX for Preact,
 * extensionless imports and JSON catalogues as the bundler resolves them.
 */
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { dirname, extname, resolve as resolvePath } from "node:path";
import { transformWithOxc } from "vite";

const OURS = /\.(?:ts|tsx)$/;

export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\//.test(specifier) && context.parentURL?.startsWith("file:")) {
    const bare = specifier.replace(/\?.*$/, "");
    const base = resolvePath(dirname(fileURLToPath(context.parentURL)), bare);
    const tries = [base, `${base}.ts`, `${base}.tsx`, base.replace(/\.js$/, ".ts"), `${base}/index.ts`, `${base}/index.tsx`];
    const found = tries.find((path) => extname(path) && existsSync(path));
    if (found) return { url: pathToFileURL(found).href, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.startsWith("file:") || url.includes("/node_modules/")) return next(url, context);
  const path = fileURLToPath(url);
  if (path.endsWith(".json")) {
    return { format: "module", source: `export default ${await readFile(path, "utf8")}`, shortCircuit: true };
  }
  if (path.endsWith(".css")) return { format: "module", source: "", shortCircuit: true };
  if (!OURS.test(path)) return next(url, context);
  const { code, map } = await transformWithOxc(await readFile(path, "utf8"), path, {
    jsx: { runtime: "automatic", importSource: "preact" },
    sourcemap: true,
    target: "es2022",
  });
  const inline = Buffer.from(JSON.stringify(map)).toString("base64");
  return {
    format: "module",
    source: `${code}\n//# sourceMappingURL=data:application/json;base64,${inline}`,
    shortCircuit: true,
  };
}
