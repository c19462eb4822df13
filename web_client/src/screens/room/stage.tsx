/** The pictures: one large, a few small, everyone else as initials in the list of people. */
import { useEffect, useRef } from "preact/hooks";
import type { Meeting, Person } from "../../api/types.ts";
import { EVERYTHING, PICTURES } from "../../media/profiles.ts";
import type { RemoteTrack } from "../../media/room_media.ts";
import { t } from "../../i18n/index.ts";
import type { RoomControl } from "../../state/room.ts";
import { seatName, seatOfHall } from "../../state/sites.ts";
import { wide } from "../../ui/wide.ts";

const THUMBS_NARROW = 2;
const THUMBS_WIDE = 8;

/** Whose camera shows a member: their own, else that of the hall where they are. */
function shownBy(meeting: Meeting, cameras: readonly RemoteTrack[], member: string): string {
  const hall = seatOfHall(meeting.present.find((person) => person.member === member)?.site ?? "");
  const has = (owner: string): boolean => cameras.some((remote) => remote.owner === owner);
  return !has(member) && has(hall) ? hall : member;
}

/** Up to two letters for a seat without a picture. */
export const initials = (name: string): string =>
  name
    .split(/\s+/)
    .filter(Boolean)
    .map((part) => [...part][0] ?? "")
    .filter((_, index, all) => index === 0 || index === all.length - 1)
    .join("")
    .toLocaleUpperCase();

/** Who is large: whoever has the floor, else who speaks, else the chair; myself only when there is nobody else. */
export function mainSpeaker(meeting: Meeting, speakers: readonly string[]): string {
  const having = (wanted: (person: Person) => boolean): string[] => meeting.present.filter(wanted).map((person) => person.member);
  const candidates = [...having((person) => person.floor), ...[...speakers].reverse(), ...having((person) => person.roles.includes("chair"))];
  return candidates.find((member) => member !== meeting.me.member) ?? candidates[0] ?? "";
}

export function Stage({ meeting, media }: { meeting: Meeting; media: RoomControl | null }) {
  const tracks = media?.pictures.value ?? [];
  const speaking = new Set(media?.speakers.value ?? []);
  const speaker = mainSpeaker(meeting, media?.speakers.value ?? []);
  const screen = tracks.find((remote) => remote.source === "screen");
  const cameras = tracks.filter((remote) => remote.source === "camera");
  const alone = speaker === meeting.me.member || speaker === "";
  const shown = shownBy(meeting, cameras, speaker);
  const large = screen ?? cameras.find((remote) => remote.owner === shown) ?? (alone ? cameras[0] : null) ?? null;
  const owner = large?.owner ?? speaker;
  const name = !screen && owner === shown && shown !== speaker ? `${seatName(meeting, speaker)} · ${seatName(meeting, owner)}` : seatName(meeting, owner);
  const own = media?.ownPicture.value ?? null;
  // Nobody else to look at: the own picture takes the large place.
  const ownLarge = alone && large === null ? own : null;
  // A middling link carries one picture: the large one.
  const reached = media?.reached.value ?? EVERYTHING;
  const carries = reached >= PICTURES;
  const most = reached < EVERYTHING ? 0 : wide.value ? THUMBS_WIDE : THUMBS_NARROW;
  const thumbs = cameras.filter((remote) => remote !== large).slice(0, most);
  const thumbKey = thumbs.map((remote) => remote.owner).join(" ");
  useEffect(() => {
    if (large?.source === "camera") media?.prefer(large.owner, wide.value ? 2 : 1);
    for (const remote of thumbs) media?.prefer(remote.owner, 0);
    media?.watchOnly([large, ...thumbs].filter((remote) => remote !== null));
  }, [large, thumbKey, wide.value, tracks.length]);
  return (
    <div class="pictures">
      <figure class={`speaker ${speaking.has(owner) ? "speaking" : ""}`} data-testid="speaker" data-member={owner}>
        {large && <Picture track={large.track} label={pictureLabel(meeting, large)} />}
        {ownLarge && <Picture track={ownLarge} label={t("stage.you")} mirrored />}
        {/* Beneath a picture it shows as long as no frame has come. */}
        {!ownLarge && <Blank name={seatName(meeting, owner)} word={large ? "" : media?.textOnly.value ? t("ladder.short.0") : !carries ? t("stage.audio-only") : ""} />}
        <figcaption>
          {screen ? t("stage.screen", { name }) : name || t("stage.nobody")}
          {speaking.has(owner) && <span class="speaking-word"> · {t("stage.speaks")}</span>}
        </figcaption>
      </figure>
      {(thumbs.length > 0 || (own && !ownLarge)) && (
        <ul class="thumbs">
          {thumbs.map((remote) => (
            <li key={remote.owner} class={`thumb ${speaking.has(remote.owner) ? "speaking" : ""}`} data-testid="tile" data-member={remote.owner}>
              <Picture track={remote.track} label={pictureLabel(meeting, remote)} />
              <span class="thumb-name">{seatName(meeting, remote.owner)}</span>
            </li>
          ))}
          {own && !ownLarge && (
            <li class="thumb" data-testid="self-tile">
              <Picture track={own} label={t("stage.you")} mirrored />
              <span class="thumb-name">{t(carries ? "stage.you" : "ladder.own-not-sent")}</span>
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

const pictureLabel = (meeting: Meeting, remote: RemoteTrack): string =>
  t(remote.source === "screen" ? "stage.screen" : "stage.picture", { name: seatName(meeting, remote.owner) });

function Picture({ track, label, mirrored = false }: { track: MediaStreamTrack; label: string; mirrored?: boolean }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    element.play().catch(() => undefined); // a hidden page plays as soon as it is shown
    return () => {
      element.srcObject = null;
    };
  }, [track]);
  return <video ref={video} class={mirrored ? "mirrored" : undefined} autoplay playsInline muted aria-label={label} />;
}

function Blank({ name, word }: { name: string; word: string }) {
  return (
    <div class="blank">
      <span class="blank-initials" aria-hidden="true">
        {initials(name) || "…"}
      </span>
      {word && <span>{word}</span>}
    </div>
  );
}
