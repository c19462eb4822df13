/** Calls to a worker and their answers, matched by number; errors keep their code. */
import { type VotingCode, VotingError } from "./errors.ts";

/** The part of Worker, MessagePort and a worker's own scope that is needed here. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: "message" | "error" | "messageerror", listener: (event: Event) => void): void;
  terminate?(): void;
}

interface Call {
  id: number;
  method: string;
  args: unknown[];
}

type Answer = { id: number; value: unknown } | { id: number; code: VotingCode; message: string };

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

const dataOf = (event: Event): unknown => (event instanceof MessageEvent ? event.data : undefined);

/** The calling side. */
export class Caller {
  private readonly channel: Channel;
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private broken: VotingError | null = null;

  constructor(channel: Channel) {
    this.channel = channel;
    channel.addEventListener("message", (event) => this.answered(dataOf(event) as Answer));
    for (const type of ["error", "messageerror"] as const) channel.addEventListener(type, () => this.fail());
  }

  call(method: string, ...args: unknown[]): Promise<unknown> {
    if (this.broken !== null) return Promise.reject(this.broken);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.channel.postMessage({ id, method, args } satisfies Call);
    });
  }

  /** Ends the worker; calls under way fail with `voting.worker`. */
  stop(): void {
    this.channel.terminate?.();
    this.fail();
  }

  private answered(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("code" in answer) waiting?.reject(new VotingError(answer.code, answer.message));
    else waiting?.resolve(answer.value);
  }

  private fail(): void {
    this.broken = new VotingError("voting.worker", "The part of the page that handles ballots has stopped. Load the page again.");
    for (const { reject } of this.waiting.values()) reject(this.broken);
    this.waiting.clear();
  }
}

export type Methods = Record<string, (...args: never[]) => Promise<unknown>>;

/** The worker's side: answers calls to the named methods. */
export function serve(channel: Channel, methods: Methods): void {
  channel.addEventListener("message", (event) => {
    const { id, method, args } = dataOf(event) as Call;
    const run = Object.hasOwn(methods, method) ? methods[method] : undefined;
    const answered = run === undefined ? Promise.reject(new VotingError("voting.worker", "Unknown method.")) : run(...(args as never[]));
    answered.then(
      (value) => channel.postMessage({ id, value } satisfies Answer),
      (error: unknown) => {
        const code = error instanceof VotingError ? error.code : "voting.worker";
        const message = error instanceof Error ? error.message : "The worker failed.";
        channel.postMessage({ id, code, message } satisfies Answer);
      },
    );
  });
}
