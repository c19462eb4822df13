/** The draft of the minutes. */
import { at, get } from "./call.ts";

export interface MinutesSentence {
  text: string;
  events: number[];
}
export interface MinutesSection {
  heading: string;
  events: number[];
  sentences: MinutesSentence[];
}
export interface Minutes {
  title: string;
  language: string;
  sections: MinutesSection[];
}

const address = (meeting: string, language: string, form: string): string =>
  at(meeting, `/minutes?lang=${encodeURIComponent(language)}&form=${form}`);

export const minutesApi = {
  draft: (meeting: string, language: string) => get<Minutes>(address(meeting, language, "json")),
  page: (meeting: string, language: string) => address(meeting, language, "html"),
  text: (meeting: string, language: string) => address(meeting, language, "text"),
};
