/** The booth's side inside the worker: keys, manifest checks, sealing and proofs stay off the page's own thread. */
import type { CastRecord, Keystore } from "../identity/keystore.ts";
import type { Rng } from "./encoding.ts";
import { ensure } from "./errors.ts";
import type { Question } from "./manifest.ts";
import { PracticeVote } from "./practice.ts";
import type { Methods } from "./rpc.ts";
import { InlineSealer } from "./sealing.ts";
import { type CastAnswer, type InclusionJson, type Sealed, Vote, type VoteOptions, type VoteStage } from "./voter.ts";

/** A vote, and the member whose keys on this device cast it. */
export type OpenRequest = Pick<VoteOptions, "manifest" | "expect" | "electorate"> & { member: string };
export type PracticeRequest = { questions: readonly Question[]; title: string };

/** What a page shows of a vote; structured-cloneable. */
export interface VoteView {
  handle: number;
  stage: VoteStage;
  title: string;
  questions: readonly Question[];
  /** b64u */
  manifestHash: string;
  record: CastRecord | null;
}

export interface SealedView {
  sealed: Sealed;
  view: VoteView;
}

/** The methods that `booth.ts` calls. */
export function boothMethods(openKeystore: (member: string) => Promise<Keystore>, rng: Rng): Methods {
  const votes = new Map<number, Vote | PracticeVote>();
  const sealer = new InlineSealer(rng);

  const view = (handle: number, vote: Vote | PracticeVote): VoteView => ({
    handle, stage: vote.stage, title: vote.title, questions: vote.questions, manifestHash: vote.manifest.id,
    record: vote instanceof Vote ? vote.record : null,
  });
  const keep = (vote: Vote | PracticeVote): VoteView => {
    const handle = votes.size + 1;
    votes.set(handle, vote);
    // After the answer has gone out: tables are made while the person reads the question.
    setTimeout(() => void sealer.warm(vote.manifest.bytes), 0);
    return view(handle, vote);
  };
  const any = (handle: number): Vote | PracticeVote => {
    const vote = votes.get(handle);
    ensure(vote !== undefined, "voting.worker", "This vote is not open.");
    return vote;
  };
  const real = (handle: number): Vote => {
    const vote = any(handle);
    ensure(vote instanceof Vote, "voting.worker", "This is a practice vote.");
    return vote;
  };
  const practice = (handle: number): PracticeVote => {
    const vote = any(handle);
    ensure(vote instanceof PracticeVote, "voting.worker", "This is not a practice vote.");
    return vote;
  };
  return {
    open: async ({ member, ...request }: OpenRequest) => keep(await Vote.open({ ...request, keystore: await openKeystore(member), sealer })),
    practice: async (request: PracticeRequest) => keep(PracticeVote.make({ ...request, sealer, rng })),
    prepare: async (handle: number, choices: readonly number[]): Promise<SealedView> => {
      const vote = any(handle);
      const sealed = await vote.prepare(choices);
      return { sealed, view: view(handle, vote) };
    },
    change: async (handle: number) => {
      any(handle).change();
      return view(handle, any(handle));
    },
    begin: async (handle: number): Promise<CastRecord> => real(handle).begin(),
    settle: async (handle: number, answer: CastAnswer): Promise<CastRecord> => real(handle).settle(answer),
    checkInclusion: async (handle: number, inclusion: InclusionJson): Promise<CastRecord> => real(handle).checkInclusion(inclusion),
    castPractice: async (handle: number) => {
      practice(handle).cast();
      return view(handle, practice(handle));
    },
    openPractice: async (handle: number): Promise<number[][]> => practice(handle).open(),
  };
}
