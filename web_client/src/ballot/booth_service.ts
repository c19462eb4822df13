/** The booth's side inside the worker: keys, manifest checks, sealing and proofs stay off the page's own thread. */
import { type CastRecord, type Keystore, memoryKeystore } from "../identity/keystore.ts";
import type { Place } from "./ballot.ts";
import { type Bytes, type JsonObject, type Rng, jcs } from "./encoding.ts";
import { ensure } from "./errors.ts";
import { type OpenManifest, type Question, openManifest } from "./manifest.ts";
import type { Opening } from "./opening.ts";
import type { PracticeVote } from "./practice.ts";
import type { Methods } from "./rpc.ts";
import { Sealer } from "./sealing.ts";
import { type Announcement, type Audit, type CastAnswer, type InclusionJson, type Sealed, Vote, type VoteOptions, type VoteStage } from "./voter.ts";

/** A vote, and the member whose keys on this device cast it; "" at a kiosk, whose key is fresh and forgotten. */
export type OpenRequest = Pick<VoteOptions, "manifest" | "expect" | "electorate" | "place"> & { member: string };
export type PracticeRequest = { questions: readonly Question[]; title: string };

/** What the voter is shown before voting. */
export type Terms = Pick<
  OpenManifest,
  "secrecy" | "votingAgain" | "rehearsal" | "kiosk" | "rules" | "electorateSize" | "electorateWeight" | "present" | "presentWeight" | "rollSize" | "rollWeight" | "closesAt" | "graceS" | "repeats"
>;

/** What a page shows of a vote; structured-cloneable. */
export interface VoteView {
  handle: number;
  stage: VoteStage;
  title: string;
  questions: readonly Question[];
  terms: Terms;
  /** b64u */
  manifestHash: string;
  record: CastRecord | null;
  /** After a practice vote was cast. */
  tracker: string;
  weight: number;
  /** This device's key in the vote, b64u; "" in a practice vote. */
  credential: string;
}

export interface SealedView {
  sealed: Sealed;
  view: VoteView;
}

/** What a second device finds in an audited vote. */
export interface AuditView {
  title: string;
  questions: readonly Question[];
  choices: number[][];
  sealed: string;
  code: string;
}

const termsOf = (m: OpenManifest): Terms => ({
  secrecy: m.secrecy, votingAgain: m.votingAgain, rehearsal: m.rehearsal, kiosk: m.kiosk, rules: m.rules, electorateSize: m.electorateSize,
  electorateWeight: m.electorateWeight, present: m.present, presentWeight: m.presentWeight, rollSize: m.rollSize, rollWeight: m.rollWeight,
  closesAt: m.closesAt, graceS: m.graceS, repeats: m.repeats,
});

/** What a second device asks; it holds no vote. */
const SECOND_DEVICE: Methods = {
  readOpening: async (fragment: string): Promise<Opening> => (await import("./opening.ts")).readOpening(fragment),
  rebuild: async (opening: Opening, manifest: JsonObject): Promise<AuditView> => {
    const { rebuild } = await import("./opening.ts");
    const opened = openManifest(jcs(manifest));
    return { title: opened.title, questions: opened.questions, choices: opening.choices, ...rebuild(opened, opening) };
  },
  voided: async (opening: Opening, manifest: JsonObject, entry: JsonObject): Promise<boolean> => {
    const { rebuild, voids } = await import("./opening.ts");
    const opened = openManifest(jcs(manifest));
    return voids(opened, opening, rebuild(opened, opening), entry);
  },
};

type OpenKeystore = (member: string) => Promise<Keystore>;

/** The member's keys on this device; at a kiosk, where no member is named, a fresh one. */
async function keysOf(openKeystore: OpenKeystore, rng: Rng, member: string, meeting: string): Promise<Keystore> {
  if (member !== "") return openKeystore(member);
  const fresh = memoryKeystore(rng);
  await fresh.credential(meeting);
  return fresh;
}

/** The methods that `booth.ts` calls. */
export function boothMethods(openKeystore: OpenKeystore, rng: Rng): Methods {
  const votes = new Map<number, Vote | PracticeVote>();
  const sealer = new Sealer(rng);
  let handles = 0;

  const view = (handle: number, vote: Vote | PracticeVote): VoteView => ({
    handle, stage: vote.stage, title: vote.title, questions: vote.questions, manifestHash: vote.manifest.id, terms: termsOf(vote.manifest),
    record: vote instanceof Vote ? vote.record : null, tracker: vote instanceof Vote ? (vote.record?.tracker ?? "") : vote.tracker,
    credential: vote instanceof Vote ? vote.credential : "", weight: vote instanceof Vote ? vote.weight : 1,
  });
  const keep = (vote: Vote | PracticeVote): VoteView => {
    const handle = ++handles;
    votes.set(handle, vote);
    // After the answer has gone out: tables are made while the person reads the question.
    setTimeout(() => sealer.warm(vote.manifest), 0);
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
    ensure(!(vote instanceof Vote), "voting.worker", "This is not a practice vote.");
    return vote;
  };
  return {
    open: async ({ member, ...request }: OpenRequest) =>
      keep(await Vote.open({ ...request, keystore: await keysOf(openKeystore, rng, member, request.expect.meeting), sealer })),
    // Practice and the second device's work come when they are wanted: the booth must be small on a thin link.
    practice: async (request: PracticeRequest) => keep(new (await import("./practice.ts")).PracticeVote({ ...request, sealer, rng })),
    prepare: async (handle: number, choices: readonly (readonly number[])[]): Promise<SealedView> => {
      const sealed = any(handle).prepare(choices);
      return { sealed, view: view(handle, any(handle)) };
    },
    change: async (handle: number) => {
      any(handle).change();
      return view(handle, any(handle));
    },
    again: async (handle: number) => {
      real(handle).again();
      return view(handle, real(handle));
    },
    replacement: async (handle: number, old: string, nonce: string, kiosk: boolean): Promise<{ challenge: Bytes; new: string }> =>
      real(handle).replacement(old, nonce, kiosk),
    take: async (handle: number, place: Place) => {
      real(handle).take(place);
      return view(handle, real(handle));
    },
    announcement: async (handle: number, sealed: string): Promise<Announcement> => real(handle).announcement(sealed),
    audit: async (handle: number): Promise<Audit> => real(handle).audit(),
    begin: async (handle: number): Promise<CastRecord> => real(handle).begin(),
    settle: async (handle: number, answer: CastAnswer): Promise<CastRecord> => real(handle).settle(answer),
    checkInclusion: async (handle: number, inclusion: InclusionJson): Promise<CastRecord> => real(handle).checkInclusion(inclusion),
    castPractice: async (handle: number) => {
      practice(handle).cast();
      return view(handle, practice(handle));
    },
    openPractice: async (handle: number): Promise<number[][]> => practice(handle).open(),
    close: async (handle: number) => {
      votes.delete(handle);
    },
    ...SECOND_DEVICE,
  };
}
