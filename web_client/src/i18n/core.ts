/** A page's translator whose sentences change on screen when the language does. */
import { signal, type ReadonlySignal } from "@preact/signals";
import { type CatalogueOf, type Language, type Loaders, type Message, type Params, type PluralKey, Sentences, type TextKey, tellPage } from "./catalogue.ts";

export * from "./catalogue.ts";

export interface I18n<E> {
  readonly language: ReadonlySignal<Language>;
  /** Loads a language and sets it on the page; `remember` keeps it for the next visit. */
  use(language: Language, remember?: boolean): Promise<void>;
  t(key: TextKey<E>, params?: Params): string;
  tn(key: PluralKey<E>, count: number, params?: Params): string;
  /** The sentence of a key made at run time, such as an error's code, or null. */
  lookup(key: string, params?: Params): string | null;
}

/** Makes the translator of one page from its lazily loaded catalogues. */
export function createI18n<E extends Record<string, Message>>(loaders: Loaders<E>): I18n<E> {
  const language = signal<Language>("en");
  const catalogue = signal<CatalogueOf<E> | null>(null);
  const sentences = (): Sentences => new Sentences(catalogue.value, language.value);
  return {
    language,
    async use(next, remember = false) {
      const loaded = await loaders[next]();
      language.value = next;
      catalogue.value = loaded.default;
      tellPage(next, remember);
    },
    t: (key, params) => sentences().lookup(key, params) ?? key,
    tn: (key, count, params) => sentences().counted(key, count, params),
    lookup: (key, params) => sentences().lookup(key, params),
  };
}
