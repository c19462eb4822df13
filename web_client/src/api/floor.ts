/** Requests of speakers, motions and resolutions (docs/spec/conduct.md, sections 5 and 6). */
import { at, get, post } from "./call.ts";
import type { DiffLine, MotionAct, MotionPlace, MotionText, MotionVote, Resolution, SpeakingRules } from "./types_floor.ts";

const motionAt = (meeting: string, motion: string, rest = ""): string => at(meeting, `/motions/${encodeURIComponent(motion)}${rest}`);

export const floor = {
  setRules: (meeting: string, rules: SpeakingRules) => post(at(meeting, "/speaking"), rules),
  motion: (meeting: string, motion: string) => get<MotionText>(motionAt(meeting, motion)),
  diff: (meeting: string, motion: string) => get<{ lines: DiffLine[] }>(motionAt(meeting, motion, "/diff")),
  write: (meeting: string, item: string, title: string, text: string) => post<{ motion: string }>(at(meeting, "/motions"), { item, title, text }),
  amend: (meeting: string, base: string, place: MotionPlace, title: string, text: string) =>
    post<{ motion: string }>(motionAt(meeting, base, "/amendments"), { ...place, title, text }),
  change: (meeting: string, motion: string, version: number, title: string, text: string, place?: MotionPlace) =>
    post<{ version: number }>(motionAt(meeting, motion), { version, title, text, ...place }),
  act: (meeting: string, motion: string, act: MotionAct) => post(motionAt(meeting, motion, "/act"), { act }),
  declare: (meeting: string, motion: string, declared: boolean) => post(motionAt(meeting, motion, "/conflict"), { declared }),
  putToVote: (meeting: string, motion: string, vote: MotionVote) => post<{ election: string }>(motionAt(meeting, motion, "/election"), vote),
  setSeconders: (meeting: string, seconders: number) => post(at(meeting, "/motion-rules"), { seconders }),
  resolutions: async (unit: string) => (await get<{ resolutions: Resolution[] }>(`/api/resolutions?unit=${encodeURIComponent(unit)}`)).resolutions,
  resolution: (id: string) => get<Resolution & { text: string }>(`/api/resolutions/${encodeURIComponent(id)}`),
};
