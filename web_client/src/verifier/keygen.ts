/** Checks V06 and V07: the messages of the key generation, then everything about its points. */
import { type Bytes, H, H512, type Json, b64u, decodeScalar, fromB64u, jcs, mod, same, scalar, u32 } from "../ballot/encoding.ts";
import { G, Point, decodeAnyPoint, decodePoint, mulPublic, sumOfMultiples } from "../ballot/group.ts";
import { verifySignature } from "../ballot/signing.ts";
import { type CheckRun, type Context, different, rollHash } from "./context.ts";
import type { KeyMessage, KeyMessageOf } from "./formats.ts";
import { given, hold } from "./report.ts";

const ROUNDS = ["register", "commit", "reveal", "shares", "salt", "certify"] as const;
const BOX_BYTES = 48;

function ofType<K extends KeyMessage["type"]>({ bundle }: Context, type: K): KeyMessageOf<K>[] {
  return bundle.keygen.messages.filter((message) => message.type === type) as KeyMessageOf<K>[];
}

function signedBytes(message: KeyMessage): Bytes {
  const { sig: _sig, ...unsigned } = message;
  return H("fm1/dkg", jcs(unsigned));
}

const messages: CheckRun = async (context) => {
  const { count, meeting, attempt, messages: all } = context.bundle.keygen;
  if (count === 0) return;
  const wanted = ROUNDS.flatMap((type) => Array.from({ length: count }, (_, i) => `${type} ${i + 1}`));
  const found = all.map(({ type, trustee }) => `${type} ${trustee}`);
  hold(found.length === wanted.length && found.every((name, i) => name === wanted[i]), "messages are not complete and in order");
  const registers = ofType(context, "register");
  const signKey = (trustee: number): Bytes => fromB64u(given(registers[trustee - 1], "a register").sign_key);
  await context.work.each(all, (message) => {
    hold(message.meeting === meeting && message.attempt === attempt, "a message of another meeting or attempt");
    const signed = verifySignature(signKey(message.trustee), signedBytes(message), fromB64u(message.sig));
    hold(signed, `${message.type} of trustee ${message.trustee} is not signed`);
  });
  hold(registers.every(({ roll }) => roll === b64u(rollHash(context))), "a trustee names another roll");
  hold(different(registers.map(({ sign_key }) => sign_key)) && different(registers.map(({ box_key }) => box_key)), "two trustees share a key");
  requireCommitted(context, signKey);
};

/** Commits match reveals, salts their hashes, boxes their places. */
function requireCommitted(context: Context, signKey: (trustee: number) => Bytes): void {
  const { count, threshold, meeting, attempt } = context.bundle.keygen;
  const place = (i: number): [string, Bytes, Bytes] => [meeting, u32(attempt), u32(i + 1)];
  const commits = ofType(context, "commit");
  for (const [i, { points }] of ofType(context, "reveal").entries()) {
    hold(points.length === threshold, "wrong number of points");
    const hash = H("fm1/dkg-commit", ...place(i), signKey(i + 1), ...points.map((point) => fromB64u(point)));
    hold(b64u(hash) === commits[i]?.hash, `trustee ${i + 1} revealed other points than committed`);
  }
  for (const { boxes, trustee } of ofType(context, "shares")) {
    const right = boxes.length === count && boxes.every((box, j) => fromB64u(box).length === (j + 1 === trustee ? 0 : BOX_BYTES));
    hold(right, "wrong number or length of boxes");
  }
  const registers = ofType(context, "register");
  for (const [i, { salt }] of ofType(context, "salt").entries()) {
    hold(b64u(H("fm1/dkg-salt", ...place(i), fromB64u(salt))) === registers[i]?.salt_hash, `trustee ${i + 1} shows another salt than announced`);
  }
}

function requirePossession({ meeting, attempt }: Context["bundle"]["keygen"], reveal: KeyMessageOf<"reveal">, first: Point): void {
  const { trustee, pop } = reveal;
  const c = scalar(H512("fm1/dkg-pop", meeting, u32(attempt), u32(trustee), first.toBytes(), fromB64u(pop.r)));
  const proved = mulPublic(G, decodeScalar(fromB64u(pop.z))).equals(decodeAnyPoint(fromB64u(pop.r)).add(mulPublic(first, c)));
  hold(proved, `trustee ${trustee} does not prove to know the key`);
}

/** V_j from the sums of the columns A_{·,k}. */
function verificationKey(columns: readonly Point[], j: number): Point {
  let power = 1n;
  const powers = columns.map(() => {
    const now = power;
    power = mod(power * BigInt(j));
    return now;
  });
  return sumOfMultiples(columns, powers);
}

const points: CheckRun = (context) => {
  const { keygen } = context.bundle;
  const { attempt, threshold, count } = keygen;
  if (count === 0) return;
  const reveals = ofType(context, "reveal");
  const revealed = reveals.map((reveal) => reveal.points.map((point) => decodePoint(fromB64u(point))));
  hold(different(reveals.map((reveal) => reveal.points[0] ?? "")), "two trustees share a point");
  for (const [i, reveal] of reveals.entries()) requirePossession(keygen, reveal, given(revealed[i]?.[0], "a point"));
  const columns = Array.from({ length: threshold }, (_, k) => revealed.reduce((sum, list) => sum.add(given(list[k], "a point")), Point.ZERO));
  const keys = Array.from({ length: count }, (_, j) => verificationKey(columns, j + 1));
  const key = given(columns[0], "the key");
  hold(!key.is0() && keys.every((one) => !one.is0()), "a key is the identity");
  const covered: readonly string[] = ROUNDS.slice(0, 4);
  const transcript = H("fm1/dkg-transcript", jcs(keygen.messages.filter(({ type }) => covered.includes(type))));
  const own = { transcript: b64u(transcript), key: b64u(key.toBytes()), verification_keys: keys.map((one) => b64u(one.toBytes())) };
  for (const { trustee, transcript: said, key: named, verification_keys } of ofType(context, "certify")) {
    const agrees = same(jcs({ transcript: said, key: named, verification_keys }), jcs(own));
    hold(agrees, `trustee ${trustee} certifies another key`);
  }
  const recorded = context.bundle.ledger.entries.filter(({ entry }) => entry.type === "key");
  hold(recorded.every(({ entry }) => entry.hash === own.transcript), "the ledger's key has another transcript");
  const signKeys = ofType(context, "register").map(({ sign_key }) => sign_key);
  const wanted: Json = { attempt, threshold, count, ...own, sign_keys: signKeys };
  for (const { files, manifest } of context.elections.filter((one) => one.manifest.secret)) {
    const t = manifest.trustees;
    const named = {
      attempt: t.attempt, threshold: t.threshold, count: t.count, transcript: t.transcript, key: t.key, verification_keys: t.verificationKeys,
      sign_keys: t.signKeys,
    };
    hold(same(jcs(named), jcs(wanted)), `${files.id}: the manifest names another key`);
  }
};

export const KEYGEN_CHECKS = { V06: messages, V07: points };
