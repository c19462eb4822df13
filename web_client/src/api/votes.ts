/** What the booth asks of the server; kept apart from the other calls, since the booth must stay small. */
import type { Announcement } from "../ballot/voter.ts";
import { get, post, vote } from "./call.ts";
import type { Queued } from "./cut.ts";
import type { Board, Inclusion, NoncePurpose, Session, Signed, VotePlace } from "./types.ts";

export const votes = {
  session: () => get<Session>("/api/session"),
  nonce: (purpose: NoncePurpose) => post<{ nonce: string; expires_at: number }>("/api/nonce", { purpose }),
  announceSealed: (m: string, e: string, announcement: Announcement) => post<{ seals: number }>(vote(m, e, "seals"), announcement),
  voidSealed: (m: string, e: string, entry: object) => post<object>(vote(m, e, "voids"), { entry }),
  replaceCredential: (m: string, e: string, body: { old: string; new: string; kiosk: boolean } & Signed) => post<object>(vote(m, e, "replacements"), body),
  manifestByHash: (mh: string) => get<{ manifest: object }>(`/api/manifests/${encodeURIComponent(mh)}`),
  voidRecorded: (mh: string, sealed: string) => get<{ recorded: boolean; published: boolean }>(`/api/manifests/${encodeURIComponent(mh)}/voids/${encodeURIComponent(sealed)}`),
  manifest: (m: string, e: string) =>
    get<{ manifest: object; electorate: { credential: string; weight: number; name: string }[]; me: VotePlace }>(vote(m, e, "manifest")),
  cast: (m: string, e: string, ballot: object) => post<{ promise: object } | Queued>(vote(m, e, "ballots"), { ballot }),
  board: (m: string, e: string, from: number) => get<Board>(vote(m, e, `board?from=${from}`)),
  inclusion: (m: string, e: string, leaf: string) =>
    get<Inclusion>(vote(m, e, `inclusion?leaf=${encodeURIComponent(leaf)}`)),
};
