/** The published record, and zips written by hand so that they can be wrong. */
import { readFileSync } from "node:fs";
import { crc32, deflateRawSync } from "node:zlib";
import { type Bytes, concat, utf8 } from "../../src/ballot/encoding.ts";
import { Archive } from "../../src/verifier/zip.ts";

const VECTORS = new URL("../../../tests/vectors/fm1/", import.meta.url);
export const read = (name: string): Bytes => new Uint8Array(readFileSync(new URL(name, VECTORS)));
export const blob = (raw: Bytes): Blob => new Blob([raw]);
export const bundle = read("bundle.zip");
export const annex = read("annex.zip");

export interface Entry {
  name: string;
  content: Uint8Array;
  stored?: boolean;
  /** Fields to lie about. */
  flags?: number;
  method?: number;
  size?: number;
  crc?: number;
  localName?: string;
}

function header(parts: readonly (readonly [number, number])[]): Uint8Array {
  return concat(
    ...parts.map(([value, bytes]) => {
      const view = new DataView(new ArrayBuffer(bytes));
      if (bytes === 2) view.setUint16(0, value, true);
      else view.setUint32(0, value, true);
      return new Uint8Array(view.buffer);
    }),
  );
}

/** A zip of these entries; nothing is checked. */
export function zip(entries: readonly Entry[], comment = ""): Bytes {
  const locals: Uint8Array[] = [];
  const centrals: Uint8Array[] = [];
  let offset = 0;
  for (const { name, content, stored = false, flags = 0, ...lie } of entries) {
    const body = stored ? content : deflateRawSync(content);
    const method = lie.method ?? (stored ? 0 : 8);
    const crc = lie.crc ?? crc32(content);
    const size = lie.size ?? content.length;
    const localName = utf8(lie.localName ?? name);
    const common = [[20, 2], [flags, 2], [method, 2], [0, 2], [0x21, 2], [crc, 4], [body.length, 4], [size, 4]] as const;
    const local = concat(header([[0x04034b50, 4], ...common, [localName.length, 2], [0, 2]]), localName, body);
    const central = header([[0x02014b50, 4], [20, 2], ...common, [utf8(name).length, 2], [0, 2], [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]);
    centrals.push(central, utf8(name));
    locals.push(local);
    offset += local.length;
  }
  const directory = concat(...centrals);
  const end = header([
    [0x06054b50, 4], [0, 2], [0, 2], [entries.length, 2], [entries.length, 2], [directory.length, 4], [offset, 4], [utf8(comment).length, 2],
  ]);
  return concat(...locals, directory, end, utf8(comment));
}

/** Every file of a zip by name. */
export async function unpack(raw: Bytes): Promise<Map<string, Bytes>> {
  const archive = await Archive.open(blob(raw));
  const found = new Map<string, Bytes>();
  for (const name of archive.names) found.set(name, await archive.read(name));
  return found;
}

/** Bytes that look random and are the same each time. */
export function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}
