/** A page's translator whose sentences change on screen when the language does. */
import { signal, type ReadonlySignal } from "@preact/signals";
import { type CatalogueOf, type Language, type Message, type Params, type PluralKey, Sentences, type TextKey, tellPage } from "./catalogue.ts";

export * from "./catalogue.ts";

type Loaded = Record<string, Message>;
/** How one group of sentences is loaded, in each language. */
export type GroupLoaders = Record<Language, () => Promise<{ default: Loaded }>>;

/** A group of sentences; the type of `E` remembers its English keys, which the translation must have. */
export const group = <E extends Loaded>(en: () => Promise<{ default: E }>, vi: () => Promise<{ default: NoInfer<CatalogueOf<E>> }>) => ({ en, vi });

type Taker<L> = L extends { en: () => Promise<{ default: infer E }> } ? (sentences: E) => void : never;
/** All sentences of several groups, as one type. */
export type InGroups<G extends Record<string, unknown>> = { [K in keyof G]: Taker<G[K]> }[keyof G] extends (sentences: infer E) => void ? E : never;

export interface I18n<E, G extends string> {
  readonly language: ReadonlySignal<Language>;
  /** Loads a language and sets it on the page; `remember` keeps it for the next visit. */
  use(language: Language, remember?: boolean): Promise<void>;
  /** Loads groups of sentences in the page's language, now and whenever it changes. */
  need(groups: readonly G[]): Promise<void>;
  t(key: TextKey<E>, params?: Params): string;
  tn(key: PluralKey<E>, count: number, params?: Params): string;
  /** The sentence of a key made at run time, such as an error's code, or null. */
  lookup(key: string, params?: Params): string | null;
}

/** Makes the translator of one page from its lazily loaded catalogues: one that is there at once, and groups. */
export function createI18n<E extends Loaded, G extends string = never>(base: GroupLoaders, groups?: Record<G, GroupLoaders>): I18n<E, G> {
  const language = signal<Language>("en");
  const catalogue = signal<Loaded | null>(null);
  const needed = new Set<G>();
  let wanted: Language = "en";
  const sentences = (): Sentences => new Sentences(catalogue.value, language.value);

  /** Shows the wanted language with all that is needed; what was asked for meanwhile is waited for too. */
  async function settle(): Promise<void> {
    const next = wanted;
    const names = [...needed];
    const parts = await Promise.all([base[next](), ...names.map((name) => groups?.[name][next]())]);
    if (next !== wanted || names.length !== needed.size) return settle();
    language.value = next;
    catalogue.value = Object.assign({}, ...parts.map((part) => part?.default));
  }

  return {
    language,
    async use(next, remember = false) {
      wanted = next;
      await settle();
      tellPage(next, remember);
    },
    async need(names) {
      const fresh = names.filter((name) => !needed.has(name));
      for (const name of fresh) needed.add(name);
      try {
        await settle();
      } catch (error) {
        for (const name of fresh) needed.delete(name); // else the language could not be changed any more
        throw error;
      }
    },
    t: (key, params) => sentences().lookup(key, params) ?? key,
    tn: (key, count, params) => sentences().counted(key, count, params),
    lookup: (key, params) => sentences().lookup(key, params),
  };
}
