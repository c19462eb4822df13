/** The booth's own small catalogues; the language is settled when the page starts. */
import { type CatalogueOf, type Language, type Loaders, type Params, type PluralKey, Sentences, type TextKey, tellPage, together } from "../i18n/catalogue.ts";
import type audit from "../i18n/booth_audit_en.json";
import type en from "../i18n/booth_en.json";
import type rules from "../i18n/rules_en.json";

type English = typeof en & typeof audit & typeof rules;

const loaders: Loaders<English> = {
  en: () => together(import("../i18n/booth_en.json"), import("../i18n/booth_audit_en.json"), import("../i18n/rules_en.json")),
  vi: () => together(import("../i18n/booth_vi.json"), import("../i18n/booth_audit_vi.json"), import("../i18n/rules_vi.json")),
};
let sentences = new Sentences(null, "en");

export async function useLanguage(language: Language): Promise<void> {
  const { default: all }: { default: CatalogueOf<English> } = await loaders[language]();
  sentences = new Sentences(all, language);
  tellPage(language, false);
}

export const lookup = (key: string, params?: Params): string | null => sentences.lookup(key, params);
export const t = (key: TextKey<English>, params?: Params): string => lookup(key, params) ?? key;
export const tn = (key: PluralKey<English>, count: number, params?: Params): string => sentences.counted(key, count, params);

/** A sentence whose key is made of data, as rules are. */
export const say = (key: string, params: Record<string, string | number> = {}): string => lookup(key, params) ?? key;
