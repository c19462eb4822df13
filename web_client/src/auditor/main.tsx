import "../ui/tokens.css";
import "../ui/base.css";
import "../ui/shell.css";
import "./auditor.css";
import { render } from "preact";
import { preferredLanguage } from "../i18n/core.ts";
import { startSettings } from "../state/settings.ts";
import { allowOwnWorkersOnly } from "../ui/trusted.ts";
import { useLanguage } from "./i18n.ts";
import { AuditorPage } from "./page.tsx";
import { Runner, startWorker } from "./runner.ts";

allowOwnWorkersOnly();
startSettings();
await useLanguage(preferredLanguage());
// The verifier is fetched now, beside the page, so that the network may go away before it is used.
const runner = new Runner(startWorker());
const root = document.getElementById("app");
if (root) render(<AuditorPage runner={runner} />, root);
document.documentElement.dataset["ready"] = "";
