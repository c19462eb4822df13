/** Chat and written questions, with support, answers and moderation. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { papersApi } from "../../api/papers.ts";
import type { Meeting } from "../../api/types.ts";
import type { Message, MessageKind, MessageRules } from "../../api/types_papers.ts";
import { clock, codeOf, t, tn } from "../../i18n/index.ts";
import type { LiveMeeting } from "../../state/live.ts";
import { isEnded, leadsNow } from "../../state/meeting.ts";
import { Talk } from "../../state/messages.ts";
import { visits } from "../../state/visitors.ts";
import { useAction } from "../../ui/action.ts";
import { Button, Card, Check, Field, Form, Loading, Note, Problem } from "../../ui/parts.tsx";
import "./papers.css";

const TEXT_MAX = 1000;
const SHOWN_AT_ONCE = 100;
const PAUSE_MS = 2_500;
const CLOSED: MessageRules = { chat: false, questions: false, visitors: false };

interface Tools {
  live: LiveMeeting;
  meeting: Meeting;
  talk: Talk;
  office: boolean;
}

export function MessagesPanel({ live, meeting }: { live: LiveMeeting; meeting: Meeting }) {
  const talk = useMemo(() => new Talk(live), [live]);
  useEffect(() => {
    talk.open();
    return () => talk.close();
  }, [talk]);
  const kind = useSignal<"chat" | "question">(visits(meeting) ? "question" : "chat");
  const office = meeting.me.roles.some((role) => role === "chair" || role === "secretary");
  const tools: Tools = { live, meeting, talk, office };
  const rules = meeting.messages ?? CLOSED;
  return (
    <>
      <div class="row" role="group" aria-label={t("talk.which")}>
        <Button testid="talk-chat" pressed={kind.value === "chat"} onClick={() => (kind.value = "chat")}>
          {t("talk.chat")}
        </Button>
        <Button testid="talk-questions" pressed={kind.value === "question"} onClick={() => (kind.value = "question")}>
          {t("talk.questions")}
        </Button>
      </div>
      <p class="muted small">{t("talk.public")}</p>
      {leadsNow(meeting) && !isEnded(meeting) && <Rules live={live} rules={rules} />}
      <Problem error={talk.error.value} />
      {talk.messages.value === null && talk.error.value === null && <Loading what={t("talk.loading")} />}
      {kind.value === "chat" ? <Chat {...tools} /> : <Questions {...tools} />}
      {!isEnded(meeting) && <Writer key={kind.value} {...tools} kind={kind.value} open={mayWrite(meeting, rules, kind.value)} />}
    </>
  );
}

function mayWrite(meeting: Meeting, rules: MessageRules, kind: "chat" | "question"): boolean {
  if (visits(meeting)) return kind === "question" && rules.visitors && rules.questions;
  return kind === "chat" ? rules.chat : rules.questions;
}

function Rules({ live, rules }: { live: LiveMeeting; rules: MessageRules }) {
  const saving = useAction();
  const set = (changes: Partial<MessageRules>): void =>
    void saving.run(async () => {
      const { chat, questions, visitors } = { ...rules, ...changes };
      await papersApi.messageRules(live.id, { chat, questions, visitors });
      await live.refresh();
    });
  return (
    <details data-testid="talk-rules">
      <summary>{t("talk.rules")}</summary>
      <div class="stack-tight">
        <Problem error={saving.error.value} />
        <Check label={t("talk.rules.chat")} checked={rules.chat} onChange={(chat) => set({ chat })} testid="rule-chat" />
        <Check label={t("talk.rules.questions")} checked={rules.questions} onChange={(questions) => set({ questions })} testid="rule-questions" />
        <Check label={t("talk.rules.visitors")} checked={rules.visitors} onChange={(on) => set({ visitors: on })} testid="rule-visitors" />
      </div>
    </details>
  );
}

/** The newest at the end, where the page stays while the reader has not scrolled away from it. */
function Chat(tools: Tools) {
  const shown = useSignal(SHOWN_AT_ONCE);
  const end = useRef<HTMLLIElement>(null);
  const lines = (tools.talk.messages.value ?? []).filter((one) => one.kind === "chat");
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [lines.length]);
  if (lines.length === 0) return tools.talk.messages.value === null ? null : <p class="muted">{t("talk.none")}</p>;
  return (
    <>
      {lines.length > shown.value && <Button onClick={() => (shown.value += SHOWN_AT_ONCE)}>{t("show-more")}</Button>}
      <ol class="list talk" data-testid="chat" aria-live="polite" aria-relevant="additions">
        {lines.slice(-shown.value).map((one, index, all) => (
          <li key={one.id} {...(index === all.length - 1 ? { ref: end } : {})}>
            <Line message={one} tools={tools} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Questions(tools: Tools) {
  const all = tools.talk.messages.value ?? [];
  const votes = (one: Message): number => tools.talk.support.value.get(one.id)?.votes ?? 0;
  const questions = all.filter((one) => one.kind === "question").sort((a, b) => votes(b) - votes(a) || a.id - b.id);
  if (questions.length === 0) return tools.talk.messages.value === null ? null : <p class="muted">{t("talk.no-questions")}</p>;
  return (
    <ol class="list talk" data-testid="questions">
      {questions.map((one) => (
        <li key={one.id} class="stack-tight">
          <Line message={one} tools={tools} />
          {!one.hidden && <UnderQuestion message={one} tools={tools} />}
          {all
            .filter((answer) => answer.to === one.id)
            .map((answer) => (
              <div key={answer.id} class="talk-answer">
                <Line message={answer} tools={tools} />
              </div>
            ))}
        </li>
      ))}
    </ol>
  );
}

function UnderQuestion({ message, tools }: { message: Message; tools: Tools }) {
  const { live, meeting, talk, office } = tools;
  const supporting = useAction();
  const answers = useSignal(false);
  const known = talk.support.value.get(message.id);
  const support = async (): Promise<void> => {
    await papersApi.support(live.id, message.id);
    await talk.refresh();
  };
  return (
    <>
      <Problem error={supporting.error.value} />
      <div class="row">
        <span data-testid="votes" data-votes={known?.votes ?? 0}>
          {tn("talk.votes", known?.votes ?? 0)}
        </span>
        {!isEnded(meeting) && (
          <Button testid={`support-${message.id}`} kind="quiet" pressed={known?.mine ?? false} disabled={known?.mine ?? false} busy={supporting.busy.value} onClick={() => void supporting.run(support)}>
            {t(known?.mine ? "talk.supported" : "talk.support")}
          </Button>
        )}
        {office && !isEnded(meeting) && (
          <Button testid={`answer-${message.id}`} kind="quiet" onClick={() => (answers.value = !answers.value)}>
            {t("talk.answer")}
          </Button>
        )}
      </div>
      {answers.value && <Writer {...tools} kind="answer" to={message.id} open onDone={() => (answers.value = false)} />}
    </>
  );
}

function Line({ message, tools }: { message: Message; tools: Tools }) {
  const { live, meeting, talk, office } = tools;
  const hides = useSignal(false);
  const reason = useSignal("");
  const hiding = useAction();
  const visitor = meeting.visitors?.find((one) => one.visitor === message.person);
  const hide = async (): Promise<void> => {
    await papersApi.hide(live.id, message.id, reason.peek());
    hides.value = false;
    await talk.refresh();
  };
  return (
    <article class="talk-line" data-testid="message" data-id={message.id} data-hidden={String(message.hidden)}>
      <div class="row-between">
        <span>
          <span class="strong">{message.name}</span> {visitor && <span class="badge">{t(`visitor.${visitor.kind}`)}</span>} <span class="muted small">{clock(message.at, meeting.time_zone)}</span>
        </span>
        {office && !message.hidden && (
          <Button kind="quiet" testid={`hide-${message.id}`} label={t("talk.hide-named", { name: message.name })} onClick={() => (hides.value = !hides.value)}>
            {t("talk.hide")}
          </Button>
        )}
      </div>
      {message.hidden ? <p class="muted">{t("talk.hidden", { reason: message.reason })}</p> : <p class="talk-text">{message.text}</p>}
      {hides.value && !message.hidden && (
        <Form action={hiding} kind="plain" work={hide} submit={t("talk.hide.yes")} testid="hide-yes" disabled={reason.value.trim() === ""}>
          <Field label={t("talk.hide.reason")} hint={t("talk.hide.hint")} value={reason.value} maxLength={100} testid="hide-reason" onInput={(value) => (reason.value = value)} />
        </Form>
      )}
    </article>
  );
}

/** Two messages have two seconds between them; who is faster waits here and not in a sentence about it. */
async function writeSoon(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (codeOf(error) !== "message.too-fast") throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await write();
  }
}

function Writer(props: Tools & { kind: MessageKind; open: boolean; to?: number; onDone?: () => void }) {
  const { live, talk, kind } = props;
  const text = useSignal("");
  const sending = useAction();
  const send = async (): Promise<void> => {
    await writeSoon(() => papersApi.write(live.id, kind, text.peek(), props.to ?? 0));
    text.value = "";
    props.onDone?.();
    await talk.refresh();
  };
  if (!props.open) return <Note>{t(visits(props.meeting) ? "talk.closed-visitors" : "talk.closed")}</Note>;
  return (
    <Card>
      <Form action={sending} work={send} submit={t(`talk.send.${kind}`)} testid={`send-${kind}`} disabled={text.value.trim() === ""}>
        <Field label={t(`talk.write.${kind}`)} rows={2} value={text.value} maxLength={TEXT_MAX} testid={`write-${kind}`} onInput={(value) => (text.value = value)} />
      </Form>
    </Card>
  );
}
