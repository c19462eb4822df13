/** Long lists in canonical JSON, one item at a time: a file of any length in the memory of one item (section 9's limits). */
import { type Bytes, concat, utf8 } from "../ballot/encoding.ts";
import { Malformed } from "./report.ts";
import { type Shape, type Shaped, parseJson } from "./shapes.ts";

export const MAX_ITEM = 256 * 1024;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const ENDS = new Set([COMMA, COLON, CLOSE_LIST, CLOSE_OBJECT]);
/** An item stands inside a list inside an object: so much of the nesting that section 1 allows is used up. */
const DEPTH = 2;

type Shapes = Record<string, Shape<unknown>>;
/** What a file's object holds: short fields, and lists by the shape of their items. */
export interface Form<F extends Shapes, L extends Shapes> {
  fields: F;
  lists: L;
}
type Entry<S extends Shapes> = { [K in keyof S & string]: readonly [name: K, value: Shaped<S[K]>, bytes: Bytes] }[keyof S & string];

/** A look-ahead over the pieces of a file. */
class Source {
  private readonly pieces: AsyncIterator<Bytes>;
  private readonly place: string;
  private held: Bytes = new Uint8Array();
  private at = 0;

  constructor(pieces: AsyncIterable<Bytes>, place: string) {
    this.pieces = pieces[Symbol.asyncIterator]();
    this.place = place;
  }

  fail(why: string): never {
    throw new Malformed(`${this.place}: ${why}`);
  }

  /** Holds one more piece; false at the end. */
  private async more(): Promise<boolean> {
    const { done, value } = await this.pieces.next();
    if (done === true) return false;
    this.held = this.at === this.held.length ? value : concat(this.held.subarray(this.at), value);
    this.at = 0;
    return true;
  }

  /** The next byte, or -1 at the end. */
  async peek(): Promise<number> {
    while (this.at === this.held.length) if (!(await this.more())) return -1;
    return this.held[this.at] ?? -1;
  }

  /** Skips exactly this text. */
  async take(text: string): Promise<void> {
    for (const code of utf8(text)) {
      if ((await this.peek()) !== code) this.fail("not canonical JSON (RFC 8785), or an unknown or missing field");
      this.at += 1;
    }
  }

  /** The bytes of the value that begins here; it may be nonsense of the right shape. */
  async value(): Promise<Bytes> {
    let [length, depth, quoted, escaped] = [0, 0, false, false];
    for (;;) {
      for (; this.at + length < this.held.length; length++) {
        const code = this.held[this.at + length] ?? 0;
        if (quoted) {
          if (escaped) escaped = false;
          else if (code === BACKSLASH) escaped = true;
          else if (code === QUOTE) {
            quoted = false;
            if (depth === 0) return this.cut(length + 1);
          }
        } else if (code === QUOTE) quoted = true;
        else if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
        else if (depth === 0 && ENDS.has(code)) return this.cut(length);
        else if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
          depth -= 1;
          if (depth === 0) return this.cut(length + 1);
        }
      }
      if (length > MAX_ITEM || !(await this.more())) this.fail(`an item is not complete within ${MAX_ITEM} bytes`);
    }
  }

  private cut(length: number): Bytes {
    if (length > MAX_ITEM) this.fail(`an item is longer than ${MAX_ITEM} bytes`);
    const found = this.held.subarray(this.at, this.at + length);
    this.at += length;
    return found;
  }
}

/** Goes through the frame of a file: each short field, and each item of its lists, as bytes with their name. */
async function* parts(source: Source, form: Form<Shapes, Shapes>): AsyncGenerator<{ name: string; bytes: Bytes }, void, undefined> {
  const names = [...Object.keys(form.fields), ...Object.keys(form.lists)].sort();
  for (const [i, name] of names.entries()) {
    await source.take(`${i === 0 ? "{" : ","}"${name}":`);
    if (Object.hasOwn(form.fields, name)) {
      yield { name, bytes: await source.value() };
      continue;
    }
    await source.take("[");
    for (let first = true; first || (await source.peek()) === COMMA; first = false) {
      if (first && (await source.peek()) === CLOSE_LIST) break;
      if (!first) await source.take(",");
      yield { name, bytes: await source.value() };
    }
    await source.take("]");
  }
  await source.take("}");
  if ((await source.peek()) !== -1) source.fail("something follows the end");
}

/**
 * The fields and the items of a file that is one object, checked against their shapes. `bytes` are valid until the next.
 * @throws Malformed for anything but the RFC 8785 form of exactly these fields
 */
export async function* readObject<F extends Shapes, L extends Shapes>(
  pieces: AsyncIterable<Bytes>, form: Form<F, L>, place: string,
): AsyncGenerator<Entry<F> | Entry<L>, void, undefined> {
  for await (const { name, bytes } of parts(new Source(pieces, place), form)) {
    const shape = form.fields[name] ?? form.lists[name];
    const depth = Object.hasOwn(form.fields, name) ? 1 : DEPTH;
    if (shape !== undefined) yield [name, parseJson(bytes, shape, `${place}: ${name}`, depth), bytes] as unknown as Entry<F> | Entry<L>;
  }
}

/** The bytes of the items of one list of a file that `readObject` has read to its end. */
export async function* readAgain(pieces: AsyncIterable<Bytes>, form: Form<Shapes, Shapes>, list: string, place: string): AsyncGenerator<Bytes, void, undefined> {
  for await (const { name, bytes } of parts(new Source(pieces, place), form)) if (name === list) yield bytes;
}
