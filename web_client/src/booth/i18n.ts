/** The booth's own small catalogues. */
import { createI18n, together } from "../i18n/core.ts";
import type audit from "../i18n/booth_audit_en.json";
import type en from "../i18n/booth_en.json";
import type rules from "../i18n/rules_en.json";

const i18n = createI18n<typeof en & typeof audit & typeof rules>({
  en: () => together(import("../i18n/booth_en.json"), import("../i18n/booth_audit_en.json"), import("../i18n/rules_en.json")),
  vi: () => together(import("../i18n/booth_vi.json"), import("../i18n/booth_audit_vi.json"), import("../i18n/rules_vi.json")),
});

export const { language, use: useLanguage, t, tn, lookup } = i18n;

/** A sentence whose key is made of data, as rules are. */
export const say = (key: string, params: Record<string, string | number> = {}): string => lookup(key, params) ?? key;
