import "../ui/tokens.css";
import "../ui/base.css";
import "./booth.css";
import { render } from "preact";
import { preferredLanguage } from "../i18n/catalogue.ts";
import { applyTextSize, storedTextSize } from "../state/text_size.ts";
import { allowOwnWorkersOnly } from "../ui/trusted.ts";
import { Booth, place } from "./booth.tsx";
import { useLanguage } from "./i18n.ts";

allowOwnWorkersOnly();
applyTextSize(storedTextSize());
await useLanguage(preferredLanguage());
const root = document.getElementById("app");
const { hash } = location;
const where = place(hash);
if (root && hash.startsWith("#a=")) {
  const { Check } = await import("./check.tsx");
  render(<Check fragment={hash} />, root);
} else if (root && where !== null && where !== "practice" && where.kiosk) {
  const { Kiosk } = await import("./kiosk.tsx");
  render(<Kiosk where={where} />, root);
} else if (root) render(<Booth where={where} />, root);
