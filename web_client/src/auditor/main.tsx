import "../ui/tokens.css";
import "../ui/base.css";
import "../ui/shell.css";
import { render } from "preact";
import { preferredLanguage } from "../i18n/core.ts";
import { useLanguage } from "../i18n/index.ts";
import { startSettings } from "../state/settings.ts";
import { Files } from "./files.tsx";

startSettings();
await useLanguage(preferredLanguage());
const root = document.getElementById("app");
if (root) render(<Files />, root);
