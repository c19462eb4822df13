/** The report as a file that needs nothing else to be read: one page of HTML with its few styles inside. */

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#14212b;background:#fff}
table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}td.bar-number{text-align:right}
section,article{margin:1.5rem 0}h4{margin:.8rem 0 .2rem}code{font-family:monospace;overflow-wrap:anywhere;display:block}
.note{padding:.5rem .8rem;border-left:.3rem solid #46545f;margin:.5rem 0}.note-good{border-color:#0a5c2b;background:#dff2e5}
.note-bad{border-color:#8f1414;background:#fbe4e2;color:#8f1414;font-weight:700}.note-mark,.auditor-mark{margin-right:.5rem}
.visually-hidden{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}.pre{white-space:pre-wrap}.muted,.hint{color:#46545f}
.auditor-checks{list-style:none;padding:0}.auditor-checks li{margin:.3rem 0}.mono{font-family:monospace;margin-right:.5rem}`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** A whole page around markup that this page has rendered itself. */
export const reportPage = (title: string, language: string, markup: string): string =>
  `<!doctype html>\n<html lang="${escaped(language)}">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">\n<title>${escaped(title)}</title>\n<style>${STYLE}</style>\n</head>\n<body>\n<main>\n<h1>${escaped(title)}</h1>\n${markup}\n</main>\n</body>\n</html>\n`;

/** Offers text as a download. */
export function save(text: string, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
