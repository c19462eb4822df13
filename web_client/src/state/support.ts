/** The support report: what the server and this browser know of the seat's link, as text to give to a helper. */
import { ApiError, at, get } from "../api/call.ts";
import type { SupportEntry } from "../media/support_figures.ts";

export interface BrowserFigures {
  readonly send: readonly SupportEntry[];
  readonly receive: readonly SupportEntry[];
}

/** The server's part; a server that cannot be reached is what such a report may be about. */
async function serverPart(meeting: string): Promise<unknown> {
  try {
    return await get<unknown>(at(meeting, "/support"));
  } catch (error) {
    return { problem: error instanceof ApiError ? error.code : "unreachable" };
  }
}

/** Both parts as JSON. */
export async function supportReport(meeting: string, browser: BrowserFigures | null): Promise<string> {
  const report = {
    format: 1,
    made: new Date().toISOString(),
    browser: navigator.userAgent,
    online: navigator.onLine,
    server: await serverPart(meeting),
    page: browser,
  };
  return JSON.stringify(report, null, 2);
}
