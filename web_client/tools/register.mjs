import { register } from "node:module";

register("./ts_hooks.mjs", import.meta.url);
