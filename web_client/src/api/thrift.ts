/** How the application asks the server: what it has is not sent again, and over a thin link it waits while something comes. */

/** What a request may take over a link of which nothing bad is known; over a slow one up to the other. */
const LEAST_MS = 20_000;
const MOST_MS = 90_000;
const TIMES = 4;
const KEPT_MAX = 8;
/** Answers of these kinds have no body. */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);
const NOT_MODIFIED = 304;

interface Kept {
  tag: string;
  text: string;
}

/** The newest answers that have a tag, in memory alone; the one asked for longest ago is first. */
const kept = new Map<string, Kept>();
let patience = LEAST_MS;

/** What the page waits just now for the beginning of an answer, and between two pieces of it. */
export const patienceMs = (): number => patience;

/** Forgets what was answered to the person who was signed in. */
export function forgetAnswers(): void {
  kept.clear();
}

const within = (ms: number): number => Math.min(MOST_MS, Math.max(LEAST_MS, ms));

function keep(path: string, answer: Kept): void {
  kept.delete(path);
  kept.set(path, answer);
  for (const oldest of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(oldest);
}

/** Reads a body to its end; `came` hears of every piece. */
async function bodyOf(answer: Response, came: () => void): Promise<string> {
  const reader = answer.body?.getReader();
  if (!reader) return answer.text();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    came();
    text += decoder.decode(value, { stream: true });
  }
}

/** Like fetch, for `call`: a link that was slow is given longer, and one that brings something is not given up. */
export async function thrifty(path: string, init: RequestInit): Promise<Response> {
  const known = init.method === "GET" ? kept.get(path) : undefined;
  const deadline = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => deadline.abort(), patience);
  };
  wait();
  const begun = performance.now();
  try {
    const headers = new Headers(init.headers);
    if (known) headers.set("If-None-Match", known.tag);
    const answer = await fetch(path, { ...init, headers, signal: deadline.signal });
    patience = within(Math.max(TIMES * (performance.now() - begun), patience / 2));
    if (known && answer.status === NOT_MODIFIED) return new Response(known.text, { headers: answer.headers });
    const text = await bodyOf(answer, wait);
    const tag = answer.headers.get("ETag");
    if (init.method === "GET" && answer.ok && tag !== null) keep(path, { tag, text });
    return new Response(EMPTY.has(answer.status) ? null : text, { status: answer.status, headers: answer.headers });
  } catch (error) {
    if (deadline.signal.aborted) patience = within(2 * patience);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
