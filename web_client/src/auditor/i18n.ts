/** The auditor's own small catalogues, both in the page's script: nothing is fetched later. */
import { type CatalogueOf, createI18n, formatNumber, localeOf } from "../i18n/core.ts";
import en from "./en.json";
import vi from "./vi.json";

const translated: CatalogueOf<typeof en> = vi;

const i18n = createI18n<typeof en>({
  en: () => Promise.resolve({ default: en }),
  vi: () => Promise.resolve({ default: translated }),
});

export const { language, use: useLanguage, t, tn, lookup } = i18n;
export const number = (value: number): string => formatNumber(value, localeOf(language.value));
