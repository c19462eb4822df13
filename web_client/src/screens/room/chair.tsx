/**
 * The chair's console: one screen of cards, what is to be done next above everything, the smaller task last. That comes
 * with the console: before it, it would move from under the finger.
 */
import type { Meeting } from "../../api/types.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isEnded, isRunning, leadsNow } from "../../state/meeting.ts";
import { useAction, useQueue } from "../../ui/action.ts";
import { Problem } from "../../ui/parts.tsx";
import { places } from "../../state/sites.ts";
import { CosignerKeyTask } from "../cosigning.tsx";
import { ClosedCard } from "../closed/chair_card.tsx";
import { MotionsCard } from "../motions/motions_card.tsx";
import { BreakCard } from "./break_card.tsx";
import { SiteDecisions, SitesCard } from "../sites/chair_card.tsx";
import type { Console } from "./console.ts";
import { Lobby } from "./lobby.tsx";
import { Log } from "./log.tsx";
import { NextCard } from "./next_card.tsx";
import { OtherSteps } from "./other_steps.tsx";
import { Participants } from "./participants.tsx";
import { Handover, PresidingNotes } from "./presiding.tsx";
import { QuorumCard } from "./quorum_card.tsx";
import { SpeakersCard } from "./speakers_card.tsx";
import { Trouble } from "./trouble.tsx";
import { RunningVote } from "./vote_tools.tsx";

export function ChairPanel({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const steps = useAction();
  const acts = useQueue();
  const tools: Console = { live, meeting, acting: acts };
  const next: Console = { live, meeting, acting: steps };
  const leads = leadsNow(meeting);
  return (
    <>
      <PresidingNotes {...next} />
      {!isEnded(meeting) && <SiteDecisions live={live} meeting={meeting} />}
      <NextCard {...next} />
      <Problem error={acts.error.value} />
      {meeting.closed_session && leads && <ClosedCard {...tools} />}
      {meeting.elections.filter(isRunning).map((election) => (
        <RunningVote key={election.election} live={live} meeting={meeting} election={election} leads={leads} />
      ))}
      {!isEnded(meeting) && <QuorumCard meeting={meeting} />}
      {!isEnded(meeting) && leads && (
        <>
          <SpeakersCard {...tools} />
          <MotionsCard {...tools} />
          <BreakCard {...tools} />
          {!meeting.closed_session && <ClosedCard {...tools} />}
          <OtherSteps {...next} />
        </>
      )}
      {!isEnded(meeting) && places(meeting).length > 1 && <SitesCard live={live} meeting={meeting} />}
      {!isEnded(meeting) && <Trouble live={live} meeting={meeting} />}
      {!isEnded(meeting) && leads && (
        <>
          <Participants {...tools} />
          <Lobby live={live} meeting={meeting} />
          <Handover live={live} meeting={meeting} />
        </>
      )}
      <Log live={live} meeting={meeting} />
      <CosignerKeyTask live={live} meeting={meeting} />
    </>
  );
}
