/** Runs every test/**\/*.test.ts with Node's own test runner. Arguments: file name parts to select. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(join(root, "test"), { recursive: true })
  .filter((name) => /\.test\.tsx?$/.test(name))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .map((name) => join("test", name))
  .toSorted();
if (files.length === 0) {
  console.error("no test file matches");
  process.exit(1);
}
const hooks = new URL("register.mjs", import.meta.url).href;
const run = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--no-warnings", "--import", hooks, "--test", "--test-reporter=spec", ...files],
  { cwd: root, stdio: "inherit" },
);
process.exit(run.status ?? 1);
