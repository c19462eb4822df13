/** Trusted Types: the only scripts that code may load by name are this installation's own files. */
interface PolicyFactory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

/** Makes the page's default policy where the browser has Trusted Types. */
export function allowOwnWorkersOnly(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: PolicyFactory };
  trustedTypes?.createPolicy("default", {
    createScriptURL(url) {
      const asked = new URL(url, location.href);
      if (asked.origin !== location.origin) throw new TypeError("A foreign script was asked for.");
      return url;
    },
  });
}
