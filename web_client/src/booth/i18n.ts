/** The booth's own small catalogues. */
import { type CatalogueOf, createI18n } from "../i18n/core.ts";
import type en from "../i18n/booth_en.json";

type English = typeof en;

const i18n = createI18n<English>({
  en: () => import("../i18n/booth_en.json"),
  vi: (): Promise<{ default: CatalogueOf<English> }> => import("../i18n/booth_vi.json"),
});

export const { language, use: useLanguage, t, tn, lookup } = i18n;
