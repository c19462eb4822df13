/** Prints the verifier and all that it imports as one module without imports, for the threads of `verify.mjs`. */
import { fileURLToPath } from "node:url";
import { build } from "vite";

const { output } = await build({
  configFile: false,
  logLevel: "error",
  ssr: { noExternal: true },
  build: {
    ssr: fileURLToPath(new URL("./verify_parts.mjs", import.meta.url)), write: false, minify: false, target: "es2022",
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
process.stdout.write(output[0].code);
