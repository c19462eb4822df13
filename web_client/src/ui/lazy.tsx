/** A component in its own chunk: words while it loads, a way on when it cannot. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Group, needSentences, t } from "../i18n/index.ts";
import { Button, Loading, Note } from "./parts.tsx";

/** A component that is a function. */
export type View<P> = (props: P) => VNode;

/** Loads once, with the groups of sentences that it shows; `load` is asked again only after the page was loaded anew. */
export function lazy<P extends object>(load: () => Promise<View<P>>, groups: readonly Group[] = []): View<P> & { bring(): Promise<unknown> } {
  let loaded: View<P> | null = null;
  const bring = (): Promise<[View<P>, unknown]> => Promise.all([load(), needSentences(groups)]);
  function Lazy(props: P) {
    const [failed, setFailed] = useState(false);
    const [, setReady] = useState(loaded !== null);
    useEffect(() => {
      if (loaded) return;
      bring().then(
        ([component]) => {
          loaded = component;
          setReady(true);
        },
        () => setFailed(true),
      );
    }, []);
    const Loaded = loaded;
    if (Loaded) return <Loaded {...props} />;
    return failed ? <Stuck /> : <Loading />;
  }
  return Object.assign(Lazy, { bring });
}

function Stuck() {
  return (
    <div class="stack">
      <Note kind="warn">{t("stuck.text")}</Note>
      <div class="actions">
        <Button kind="main" testid="crash-reload" onClick={() => location.reload()}>
          {t("crash.reload")}
        </Button>
      </div>
    </div>
  );
}
