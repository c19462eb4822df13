/**
 * Typed catalogues on the browser's own Intl: one JSON file per language, plurals by CLDR category. No page state.
 *
 * `en.json` and `vi.json` hold what the shell and several screens say; they are loaded before anything is shown.
 * Everything else belongs to a group that comes with its screens. To add a group `papers`: write `papers_en.json`
 * and `papers_vi.json` here, add one line to `GROUPS` in index.ts, and name the group where the screen is made
 * lazy: `lazy(async () => ..., ["papers"])`. The types ask for every key in every language, catalogues.test.ts for
 * a group wherever a screen or what it imports says a sentence of it, test_page_weight.py for small files.
 */

export type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
export type Message = string | Plural;
export type Params = Record<string, string | number>;

/** What a translation of the English catalogue `E` must look like. */
export type CatalogueOf<E> = { [K in keyof E]: E[K] extends string ? string : Plural };
/** The keys of plain sentences. */
export type TextKey<E> = { [K in keyof E]: E[K] extends string ? K : never }[keyof E] & string;
/** The keys of counted sentences. */
export type PluralKey<E> = { [K in keyof E]: E[K] extends string ? never : K }[keyof E] & string;

export type Language = "en" | "vi";
export const LANGUAGES: readonly { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "vi", name: "Tiếng Việt" },
];
const STORED = "folkmoot.language";

const plurals = new Map<string, Intl.PluralRules>();
const numbers = new Map<string, Intl.NumberFormat>();

function cached<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const found = cache.get(key);
  if (found !== undefined) return found;
  const made = make();
  cache.set(key, made);
  return made;
}

/** Fills `{name}` places; numbers are written as the language does. */
export function fill(template: string, params: Params, language: string): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = params[name];
    if (value === undefined) return place;
    return typeof value === "number" ? formatNumber(value, language) : value;
  });
}

export function formatNumber(value: number, language: string): string {
  return cached(numbers, language, () => new Intl.NumberFormat(language)).format(value);
}

/** Picks the sentence for a count. */
export function choose(message: Plural, count: number, language: string): string {
  const category = cached(plurals, language, () => new Intl.PluralRules(language)).select(count);
  return message[category] ?? message.other;
}

function remembered(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage may be blocked; the browser's languages then decide
  }
}

/** The stored language, else the first one of the browser that we have, else English. */
export function preferredLanguage(): Language {
  const wanted = [remembered(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  for (const tag of wanted) {
    const found = LANGUAGES.find(({ code }) => code === tag);
    if (found) return found.code;
  }
  return "en";
}

/** The browser's own variant of a language (en-GB for en), so that dates and numbers look familiar. */
export function localeOf(language: Language): string {
  return navigator.languages.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

/** One catalogue of several files, which load side by side, so that each stays small. */
export async function together<A, B, C>(a: Promise<{ default: A }>, b: Promise<{ default: B }>, c: Promise<{ default: C }>): Promise<{ default: A & B & C }> {
  const [first, second, third] = await Promise.all([a, b, c]);
  return { default: { ...first.default, ...second.default, ...third.default } };
}

export type Loaders<E> = Record<Language, () => Promise<{ default: CatalogueOf<E> }>>;

/** The sentences of a loaded catalogue; `null` stands for one that is not loaded yet. */
export class Sentences {
  private readonly all: Record<string, Message> | null;
  private readonly language: string;

  constructor(all: Record<string, Message> | null, language: string) {
    this.all = all;
    this.language = language;
  }

  private message(key: string): Message | undefined {
    return this.all && Object.hasOwn(this.all, key) ? this.all[key] : undefined;
  }

  /** The sentence of a key made at run time, such as an error's code, or null. */
  lookup(key: string, params: Params = {}): string | null {
    const found = this.message(key);
    return typeof found === "string" ? fill(found, params, this.language) : null;
  }

  counted(key: string, count: number, params: Params = {}): string {
    const found = this.message(key);
    if (found === undefined) return key;
    const template = typeof found === "string" ? found : choose(found, count, this.language);
    return fill(template, { n: count, ...params }, this.language);
  }
}

/** Says the language to the page, and keeps it for the next visit when asked to. */
export function tellPage(next: Language, remember: boolean): void {
  document.documentElement.lang = next;
  document.documentElement.dir = "ltr";
  if (!remember) return;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // storage may be blocked; the choice then lasts for this page
  }
}
