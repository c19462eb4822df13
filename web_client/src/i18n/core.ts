/** Typed catalogues on the browser's own Intl: one JSON file per language, plurals by CLDR category. */
import { signal, type ReadonlySignal } from "@preact/signals";

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

export interface I18n<E> {
  readonly language: ReadonlySignal<Language>;
  /** Loads a language and sets it on the page; `remember` keeps it for the next visit. */
  use(language: Language, remember?: boolean): Promise<void>;
  t(key: TextKey<E>, params?: Params): string;
  tn(key: PluralKey<E>, count: number, params?: Params): string;
  /** The sentence of a key made at run time, such as an error's code, or null. */
  lookup(key: string, params?: Params): string | null;
}

/** One catalogue of several files, which load side by side, so that each stays small. */
export async function together<A, B, C>(a: Promise<{ default: A }>, b: Promise<{ default: B }>, c: Promise<{ default: C }>): Promise<{ default: A & B & C }> {
  const [first, second, third] = await Promise.all([a, b, c]);
  return { default: { ...first.default, ...second.default, ...third.default } };
}

/** Makes the translator of one page from its lazily loaded catalogues. */
export function createI18n<E extends Record<string, Message>>(
  loaders: Record<Language, () => Promise<{ default: CatalogueOf<E> }>>,
): I18n<E> {
  const language = signal<Language>("en");
  const catalogue = signal<CatalogueOf<E> | null>(null);

  const message = (key: string): Message | undefined => {
    const all: Record<string, Message> | null = catalogue.value;
    return all && Object.hasOwn(all, key) ? all[key] : undefined;
  };
  const lookup = (key: string, params: Params = {}): string | null => {
    const found = message(key);
    return typeof found === "string" ? fill(found, params, language.value) : null;
  };
  return {
    language,
    async use(next, remember = false) {
      const loaded = await loaders[next]();
      language.value = next;
      catalogue.value = loaded.default;
      document.documentElement.lang = next;
      document.documentElement.dir = "ltr";
      if (!remember) return;
      try {
        localStorage.setItem(STORED, next);
      } catch {
        // storage may be blocked; the choice then lasts for this page
      }
    },
    t: (key, params) => lookup(key, params) ?? key,
    tn(key, count, params = {}) {
      const found = message(key);
      if (found === undefined) return key;
      const template = typeof found === "string" ? found : choose(found, count, language.value);
      return fill(template, { n: count, ...params }, language.value);
    },
    lookup,
  };
}
