/** The auditor's own small catalogues and the rules' sentences, all in the page's script: nothing is fetched later. */
import { createI18n, formatNumber, group, type InGroups, localeOf } from "../i18n/core.ts";
import rulesEn from "../i18n/rules_en.json";
import rulesVi from "../i18n/rules_vi.json";
import en from "./en.json";
import vi from "./vi.json";

const SENTENCES = group(
  () => Promise.resolve({ default: { ...rulesEn, ...en } }),
  () => Promise.resolve({ default: { ...rulesVi, ...vi } }),
);

const i18n = createI18n<InGroups<{ all: typeof SENTENCES }>>(SENTENCES);

export const { language, use: useLanguage, t, tn, lookup } = i18n;
export const number = (value: number): string => formatNumber(value, localeOf(language.value));
/** A sentence whose key is made of data, as rules are. */
export const say = (key: string, params: Record<string, string | number> = {}): string => lookup(key, params) ?? key;
/** Day and time of a record, in the reader's zone and with its name. */
export const moment = (seconds: number): string =>
  new Intl.DateTimeFormat(localeOf(language.value), { dateStyle: "medium", timeStyle: "long" }).format(seconds * 1000);
