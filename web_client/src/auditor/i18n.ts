/** The auditor's own small catalogues and the rules' sentences, all in the page's script: nothing is fetched later. */
import { type CatalogueOf, createI18n, formatNumber, localeOf } from "../i18n/core.ts";
import rulesEn from "../i18n/rules_en.json";
import rulesVi from "../i18n/rules_vi.json";
import en from "./en.json";
import vi from "./vi.json";

const english = { ...rulesEn, ...en };
type English = typeof english;
const translated: CatalogueOf<English> = { ...rulesVi, ...vi };

const i18n = createI18n<English>({
  en: () => Promise.resolve({ default: english }),
  vi: () => Promise.resolve({ default: translated }),
});

export const { language, use: useLanguage, t, tn, lookup } = i18n;
export const number = (value: number): string => formatNumber(value, localeOf(language.value));
/** A sentence whose key is made of data, as rules are. */
export const say = (key: string, params: Record<string, string | number> = {}): string => lookup(key, params) ?? key;
/** Day and time of a record, in the reader's zone and with its name. */
export const moment = (seconds: number): string =>
  new Intl.DateTimeFormat(localeOf(language.value), { dateStyle: "medium", timeStyle: "long" }).format(seconds * 1000);
