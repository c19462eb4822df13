/** One verification at a time in a worker, as signals for the page. */
import { signal } from "@preact/signals";
import type { News, Order } from "../verifier/protocol.ts";
import type { Check, CheckId } from "../verifier/report.ts";
import type { Verification } from "../verifier/verify.ts";

export type State = "idle" | "running" | "done" | "stopped" | "broken";

/** The part of a Worker that is needed here. */
export interface VerifierWorker {
  postMessage(order: Order): void;
  addEventListener(type: "message" | "error" | "messageerror", listener: (event: Event) => void): void;
}

export interface Running {
  id: CheckId;
  done: number;
  total: number;
}

export class Runner {
  readonly state = signal<State>("idle");
  readonly checks = signal<readonly Check[]>([]);
  readonly running = signal<Running | null>(null);
  readonly verification = signal<Verification | null>(null);
  private readonly worker: VerifierWorker;

  constructor(worker: VerifierWorker) {
    this.worker = worker;
    worker.addEventListener("message", (event) => {
      if (event instanceof MessageEvent) this.hear(event.data as News);
    });
    for (const type of ["error", "messageerror"] as const) worker.addEventListener(type, () => this.end("broken"));
  }

  /** Checks the files; `identities` is the text of a key file, or "". */
  start(bundle: Blob, annex: Blob | null, identities = ""): void {
    if (this.state.value === "running" || this.state.value === "broken") return;
    this.clear();
    this.state.value = "running";
    this.worker.postMessage({ type: "run", bundle, annex, identities });
  }

  stop(): void {
    if (this.state.value === "running") this.worker.postMessage({ type: "stop" });
  }

  /** Forgets what was found out, as when other files are chosen. */
  clear(): void {
    if (this.state.value === "running" || this.state.value === "broken") return;
    this.state.value = "idle";
    this.checks.value = [];
    this.verification.value = null;
  }

  private end(state: State): void {
    this.running.value = null;
    this.state.value = state;
  }

  private hear(news: News): void {
    switch (news.type) {
      case "start":
        this.running.value = { id: news.id, done: 0, total: 0 };
        return;
      case "progress":
        this.running.value = { id: news.id, done: news.done, total: news.total };
        return;
      case "check":
        this.checks.value = [...this.checks.value, news.check];
        return;
      case "done":
        this.verification.value = news.verification;
        this.end("done");
        return;
      case "stopped":
        this.checks.value = [];
        this.end("stopped");
        return;
      case "broken":
        this.end("broken");
    }
  }
}

export const startWorker = (): VerifierWorker => new Worker(new URL("../verifier/verifier.worker.ts", import.meta.url), { type: "module" });
