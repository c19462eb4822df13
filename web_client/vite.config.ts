/** Builds the three pages (application, booth, auditor) and the application's worker without framework plugins. */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { shellHead } from "./tools/shell_files.ts";

const COMPRESSIBLE = /\.(?:html|js|css|svg|json|webmanifest|txt|wasm)$/;
const SMALLEST_WORTH_COMPRESSING = 512;

const BASE = /node_modules\/preact\/|vite\/preload-helper|src\/(?:ui\/(?:trusted|rule_words)|ballot\/(?:errors|rpc|standing)|identity\/records|state\/(?:pins|text_size)|i18n\/catalogue|api\/(?:call|cut|votes))\.ts$/;

/** Small modules that the pages of a meeting and its room share. */
const GATHERING = /src\/(?:state\/(?:agenda|visitors|server_time)|ui\/server_time|screens\/(?:cosigning|notice|meeting|result)|screens\/room\/(?:hold|people|timer)|state\/(?:ladder|sources|support|room))\.tsx?$/;

const page = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const WORKER = "sw.js";

/** Pins each page's script and style by SHA-384 and the worker's files, then writes `.gz` and `.br` beside every asset. */
function finishAssets(): Plugin {
  let out = "";
  let root = "";
  return {
    name: "folkmoot-finish-assets",
    apply: "build",
    enforce: "post",
    configResolved(config) {
      ({ root } = config);
      out = config.build.outDir;
    },
    async writeBundle(_options, bundle) {
      for (const name of Object.keys(bundle).filter((one) => one.endsWith(".html"))) await pinned(out, join(out, name));
      await writeFile(join(out, WORKER), shellHead(bundle, root, out) + (await readFile(join(out, WORKER), "utf8")));
      const files = (await readdir(out, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() && COMPRESSIBLE.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name));
      for (const file of files) {
        const bytes = await readFile(file);
        if (bytes.length < SMALLEST_WORTH_COMPRESSING) continue;
        await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
        await writeFile(
          `${file}.br`,
          brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
        );
      }
    },
  };
}

/** Rewrites one page so that a changed script or style is refused by the browser. */
async function pinned(out: string, file: string): Promise<void> {
  let html = await readFile(file, "utf8");
  for (const [tag, url] of html.matchAll(/<(?:script|link)\b[^>]*?(?:src|href)="\/(assets\/[^"]+)"[^>]*>/g)) {
    const digest = createHash("sha384").update(await readFile(join(out, url ?? ""))).digest("base64");
    html = html.replace(tag, tag.replace(/>$/, ` integrity="sha384-${digest}">`));
  }
  await writeFile(file, html);
}

export default defineConfig({
  plugins: [finishAssets()],
  build: {
    // Cheap phones with Chrome 100 or Safari 15.4 must do; tsconfig.json keeps newer library calls out.
    target: "es2022",
    cssTarget: ["chrome100", "safari15.4"],
    // The content security policy allows no data: URL and no inline code.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { main: page("index.html"), booth: page("booth.html"), auditor: page("auditor.html"), sw: page("src/sw/worker.ts") },
      // What every page starts with travels as one file: a dozen small ones compress worse and ask more often.
      output: {
        codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: "base", test: BASE }, { name: "gathering", test: GATHERING }] },
        // The worker is asked for by one name for ever; the browser compares its content.
        entryFileNames: ({ name }) => (name === "sw" ? WORKER : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/api": "http://localhost:8080",
      "/socket.io": { target: "ws://localhost:8080", ws: true },
    },
  },
});
