/** What a page and the server have to tell each other after neither heard the other for a while. */
import type { Answers, ProducerInfo } from "./protocol.ts";

export type Correction = readonly [method: keyof Answers, data: object];

/** What the server has to be told of this seat's own sources: `held` are those it sends, by producer. */
export function ofSources(producers: readonly ProducerInfo[], owner: string, held: ReadonlyMap<string, { readonly paused: boolean }>): Correction[] {
  return producers.flatMap((listed): Correction[] => {
    if (listed.owner !== owner) return [];
    const data = { producer_id: listed.producer_id };
    const source = held.get(listed.producer_id);
    if (source === undefined) return [["close_producer", data]];
    if (source.paused === listed.paused) return [];
    return [[source.paused ? "pause_producer" : "resume_producer", data]];
  });
}

/** The same of the pictures it watches. */
export function ofPictures(consumers: Iterable<{ readonly id: string; readonly paused: boolean }>): Correction[] {
  return Array.from(consumers, ({ id, paused }): Correction => [paused ? "pause_consumer" : "resume_consumer", { consumer_id: id }]);
}
