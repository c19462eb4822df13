/** A server that cheats: it holds any entries it likes, signs any root of them, and knows some cosigners who lie. */
import { readEntry } from "../../src/ballot/entries.ts";
import { type Bytes, type JsonObject, b64u, fromUtf8, jcs, parseCanonical } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";
import type { InclusionJson } from "../../src/ballot/inclusion.ts";
import { inclusionProof, leafHash, root } from "../../src/ballot/merkle.ts";
import { type Checkpoint, checkpointBody, cosign, signCheckpoint } from "../../src/ballot/note.ts";
import { InlineVerifier } from "../../src/ballot/verify.ts";
import { Keystore } from "../../src/identity/keystore.ts";
import { MemoryRecords } from "../../src/identity/records.ts";
import { TellerCount } from "../../src/trustee/count.ts";
import { saveShare } from "../../src/trustee/secrets.ts";
import { COSIGNERS, MEETING, NOW, type World, cosignerKey, rollHash, serverKey, testRng } from "../ballot/world.ts";

export const refusedWith = (wanted: string) => (error: unknown) => error instanceof VotingError && error.code === wanted;
export const CHOICES = [[0], [0], [1], [2], [0]];

/** One view of an election's board. */
export class View {
  readonly world: World;
  readonly entries: JsonObject[];
  note = "";

  constructor(world: World, entries: readonly JsonObject[]) {
    this.world = world;
    this.entries = [...entries];
  }

  get leaves(): Bytes[] {
    return this.entries.map((entry) => leafHash(jcs(entry)));
  }

  get checkpoint(): Checkpoint {
    return { origin: this.world.manifest.board.origin, size: this.entries.length, root: root(this.leaves) };
  }

  /** Closes the view, whatever it holds; the entry fits what is on it unless `fields` says otherwise. */
  async close(fields: JsonObject = {}): Promise<this> {
    const credentials = this.entries.flatMap(({ ballot }) => (ballot === undefined ? [] : [String((ballot as JsonObject)["credential"])]));
    this.entries.push({ type: "closing", ballots: credentials.length, cast: new Set(credentials).size, ended: NOW + 90, at: NOW + 100, ...fields });
    this.note = await signCheckpoint(this.checkpoint, serverKey);
    return this;
  }

  /** Cosignatures of people who sign whatever they are shown. */
  async cosign(names: readonly string[]): Promise<this> {
    for (const name of names) this.note += await cosign(checkpointBody(this.checkpoint), name, cosignerKey(name), NOW + 101);
    return this;
  }

  /** The proof for an entry, against this view's newest checkpoint. */
  async inclusion(index: number): Promise<InclusionJson> {
    const checkpoint = this.note === "" ? await signCheckpoint(this.checkpoint, serverKey) : this.note;
    return { index, size: this.entries.length, proof: inclusionProof(this.leaves, index).map(b64u), checkpoint };
  }
}

/** A device that holds a trustee's finished key. */
export async function tellerRecords(world: World, trustee: number): Promise<MemoryRecords> {
  const records = new MemoryRecords();
  const secrets = world.secrets[trustee - 1];
  const share = world.shares[trustee - 1];
  if (secrets === undefined || share === undefined) throw new Error("no such trustee");
  const scope = { meeting: MEETING, roll: b64u(rollHash), attempt: 1, trustee };
  await saveShare(new Keystore(records, testRng(`trustee ${trustee}`)), scope, { signSeed: secrets.signSeed, boxSecret: secrets.boxSecret, share });
  return records;
}

export interface TellerPage {
  page: TellerCount;
  posted: JsonObject[];
  keystore: Keystore;
}

/** A teller's page that is shown this view; what it posts is put on the view. */
export async function tellerPage(view: View, trustee: number, records?: MemoryRecords, least?: number): Promise<TellerPage> {
  const { world } = view;
  const keystore = new Keystore(records ?? (await tellerRecords(world, trustee)), testRng(`page ${trustee}`));
  const posted: JsonObject[] = [];
  const page = new TellerCount({
    keystore, trustee, meeting: MEETING, manifest: world.manifest.bytes, electorate: world.electors, verifier: new InlineVerifier(testRng("verify")), now: () => NOW + 200,
    ...(least === undefined ? {} : { least }),
    port: {
      entries: async (from) => view.entries.slice(from).map((entry) => fromUtf8(jcs(entry))),
      closing: async () => view.note,
      post: async (entry) => {
        readEntry(parseCanonical(jcs(entry)));
        posted.push(entry);
        view.entries.push(entry);
      },
    },
  });
  return { page, posted, keystore };
}

/** The cosigners of a world, of whom `name` uses a real device; give it to `makeWorld`. */
export async function cosignersWith(names: readonly string[], stores: ReadonlyMap<string, Keystore>): Promise<JsonObject[]> {
  return Promise.all(COSIGNERS.map(async (name) => {
    const keystore = names.includes(name) ? stores.get(name) : undefined;
    return { name, key: b64u((keystore === undefined ? cosignerKey(name) : await keystore.cosigner(MEETING)).publicKey) };
  }));
}

/** Takes one of a page's own refusals away: the control of a test. */
export function without<T extends object>(page: T, refusal: string, instead: (...given: never[]) => unknown): T {
  if (!(refusal in page)) throw new Error(`there is no ${refusal} to take away`);
  Object.defineProperty(page, refusal, { value: instead });
  return page;
}
