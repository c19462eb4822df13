/** Drives one Firefox over WebDriver BiDi: a line of JSON asks, a line of JSON answers. */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const client = createRequire(new URL("../../web_client/package.json", import.meta.url));
const { default: puppeteer } = await import(pathToFileURL(client.resolve("puppeteer-core")).href);

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: process.argv[2],
  headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.gmp-manager.updateEnabled": false,
  },
});
const pages = new Map();

/** The value of an expression; of a function, what it returns for the argument. */
function evaluate(page, expression, argument) {
  const value = `typeof held === "function" ? held(${JSON.stringify(argument ?? null)}) : held`;
  return page.evaluate(`(async () => { const held = (${expression}); return (await (${value})) ?? null; })()`);
}

const methods = {
  version: () => browser.version(),
  open: async ({ page, url }) => {
    // A window each: a hidden tab's timers are slowed down.
    const fresh = await browser.newPage({ type: "window" });
    pages.set(page, fresh);
    await fresh.goto(url);
  },
  click: ({ page, selector }) => pages.get(page).click(selector),
  evaluate: ({ page, expression, argument }) => evaluate(pages.get(page), expression, argument),
  close: async ({ page }) => {
    await pages.get(page).close();
    pages.delete(page);
  },
};

async function answer(line) {
  const { id, method, data } = JSON.parse(line);
  try {
    return { id, ok: (await methods[method](data)) ?? null };
  } catch (error) {
    return { id, error: String(error?.message ?? error) };
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => process.stdout.write(`${JSON.stringify(await answer(line))}\n`));
lines.on("close", async () => {
  await browser.close();
  process.exit(0);
});
