import "../ui/tokens.css";
import "../ui/base.css";
import "./booth.css";
import { render } from "preact";
import { preferredLanguage } from "../i18n/core.ts";
import { startSettings } from "../state/settings.ts";
import { allowOwnWorkersOnly } from "../ui/trusted.ts";
import { Booth } from "./booth.tsx";
import { useLanguage } from "./i18n.ts";

allowOwnWorkersOnly();
startSettings();
await useLanguage(preferredLanguage());
const root = document.getElementById("app");
if (root) render(<Booth />, root);
