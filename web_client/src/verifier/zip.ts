/**
 * Reads a zip strictly and within the limits of section 9, from its central directory (PKWARE APPNOTE 6.3).
 * Zip64, encryption, directories, several disks and methods other than stored and deflated are refused.
 * Members are streamed: a Blob may stand for a file that is larger than memory.
 */
import { type Bytes, concat, same } from "../ballot/encoding.ts";
import { Unreadable } from "./report.ts";

export const MAX_ZIP = 256 * 2 ** 20;
export const MAX_UNPACKED = 2 ** 30;
export const MAX_FILES = 10_000;

const END = 0x06054b50;
const END_BYTES = 22;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const LINE_FEED = 0x0a;
const STORED = 0;
const DEFLATED = 8;
/** Encrypted, sizes after the data, patch data, strong encryption, masked headers. */
const REFUSED_FLAGS = 0x0001 | 0x0008 | 0x0020 | 0x0040 | 0x2000;
/** Flags in which the two headers may differ: how well it was deflated, and whether the name is UTF-8. */
const FREE_FLAGS = 0x0806;

interface Member {
  name: Bytes;
  flags: number;
  method: number;
  crc: number;
  packed: number;
  size: number;
  offset: number;
}

function demand(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Unreadable(why);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crcOver(start: number, bytes: Uint8Array): number {
  let crc = start;
  for (let i = 0; i < bytes.length; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc;
}

/** Packed bytes that are read and decoded at once. */
const SLICE = 64 * 1024;

const viewOf = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const bytesOf = async (raw: Blob, start: number, end: number): Promise<Bytes> => new Uint8Array(await raw.slice(start, end).arrayBuffer());

function readMember(raw: Bytes, view: DataView, at: number): { member: Member; next: number } {
  demand(at + CENTRAL_BYTES <= raw.length && view.getUint32(at, true) === CENTRAL, "not a readable zip");
  const [nameBytes, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true)) as [number, number, number];
  const next = at + CENTRAL_BYTES + nameBytes + extra + comment;
  demand(next <= raw.length, "not a readable zip");
  const member: Member = {
    name: raw.slice(at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes),
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  demand((member.flags & REFUSED_FLAGS) === 0, "encrypted members and members with sizes after the data are refused");
  demand(member.method === STORED || member.method === DEFLATED, "only stored and deflated members are read");
  demand(member.method === DEFLATED || member.packed === member.size, "not a readable zip");
  demand(member.name.at(-1) !== 0x2f, "directories are refused");
  demand(![member.packed, member.size, member.offset].includes(0xffffffff), "zip64 is not read");
  return { member, next };
}

async function readDirectory(raw: Blob): Promise<{ members: Member[]; start: number }> {
  demand(raw.size <= MAX_ZIP, "the zip is larger than 256 MiB");
  demand(raw.size >= END_BYTES, "not a readable zip");
  const view = viewOf(await bytesOf(raw, raw.size - END_BYTES, raw.size));
  demand(view.getUint32(0, true) === END && view.getUint16(20, true) === 0, "not a readable zip");
  const count = view.getUint16(10, true);
  const [bytes, start] = [view.getUint32(12, true), view.getUint32(16, true)];
  demand(view.getUint32(4, true) === 0 && view.getUint16(8, true) === count, "not a readable zip");
  demand(start + bytes + END_BYTES === raw.size, "not a readable zip");
  demand(count <= MAX_FILES, "too many files");
  const directory = await bytesOf(raw, start, start + bytes);
  const members: Member[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { member, next } = readMember(directory, viewOf(directory), at);
    members.push(member);
    at = next;
  }
  demand(at === directory.length, "not a readable zip");
  demand(members.reduce((sum, { size }) => sum + size, 0) <= MAX_UNPACKED, "more than 1 GiB unpacked");
  return { members, start };
}

const latin = (bytes: Bytes): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** Where a member's content begins. @throws Unreadable when its two headers differ */
async function contentStart(raw: Blob, { offset, name, flags, method, crc, packed, size }: Member): Promise<number> {
  const local = await bytesOf(raw, offset, offset + LOCAL_BYTES + name.length);
  demand(local.length === LOCAL_BYTES + name.length, "not a readable zip");
  const view = viewOf(local);
  const [first, own, sum] = [view.getUint32(0, true), view.getUint16(6, true), view.getUint32(14, true)];
  const agree =
    first === LOCAL && ((own ^ flags) & ~FREE_FLAGS) === 0 && view.getUint16(8, true) === method && sum === crc &&
    view.getUint32(18, true) === packed && view.getUint32(22, true) === size && view.getUint16(26, true) === name.length;
  demand(agree && same(local.subarray(LOCAL_BYTES), name), "a member's two headers differ");
  return offset + LOCAL_BYTES + name.length + view.getUint16(28, true);
}

/** Whatever the platform says about hostile bytes, or about a file that is gone, it is not readable. */
async function readable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch {
    throw new Unreadable("not a readable zip");
  }
}

/** The bytes, read as they are asked for. @throws Unreadable */
async function* slices(packed: Blob): AsyncGenerator<Bytes, void, undefined> {
  for (let at = 0; at < packed.size; at += SLICE) yield await readable(bytesOf(packed, at, at + SLICE));
}

/**
 * What raw deflate holds. Each write is awaited, where `pipeThrough` under Node 20 counts pieces instead of bytes and
 * would hold the whole packed file. @throws Unreadable
 */
async function* inflated(packed: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, undefined> {
  const decoder = new DecompressionStream("deflate-raw");
  const [reader, writer] = [decoder.readable.getReader(), decoder.writable.getWriter()];
  const feed = async (): Promise<void> => {
    for await (const slice of packed) await writer.write(slice);
    await writer.close();
  };
  // What ends the feeding ends the reading too.
  feed().catch((error: unknown) => writer.abort(error).catch(() => undefined));
  try {
    for (let piece = await readable(reader.read()); !piece.done; piece = await readable(reader.read())) yield piece.value as Bytes;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The files of a zip by name (bytes as Latin-1; the names of section 9 are ASCII). */
export class Archive {
  private readonly raw: Blob;
  private readonly members: ReadonlyMap<string, Member>;

  private constructor(raw: Blob, members: ReadonlyMap<string, Member>) {
    this.raw = raw;
    this.members = members;
  }

  /** Reads the directory. @throws Unreadable for anything that is not a plain zip within the limits */
  static async open(raw: Blob): Promise<Archive> {
    const { members, start } = await readDirectory(raw);
    const byName = new Map(members.map((member) => [latin(member.name), member]));
    demand(byName.size === members.length, "a name comes twice");
    let place = 0;
    for (const member of members) {
      demand(member.offset === place, "members do not follow each other");
      place = (await contentStart(raw, member)) + member.packed;
    }
    demand(place === start, "something lies between the members and their directory");
    return new Archive(raw, byName);
  }

  get names(): string[] {
    return [...this.members.keys()];
  }

  /** Throws unless the file is there. @throws Unreadable */
  require(name: string): void {
    demand(this.members.has(name), `${name} is missing`);
  }

  /** Unpacked size as the directory says it; 0 for a file that is not there. */
  size(name: string): number {
    return this.members.get(name)?.size ?? 0;
  }

  /** The content in pieces, checked against size and checksum by its end. @throws Unreadable */
  async *stream(name: string): AsyncGenerator<Bytes, void, undefined> {
    const member = this.members.get(name);
    demand(member !== undefined, `${name} is missing`);
    const start = await contentStart(this.raw, member);
    const packed = slices(this.raw.slice(start, start + member.packed));
    // The platform's own decoder, stopped as soon as it gives more than the directory says.
    const pieces = member.method === STORED ? packed : inflated(packed);
    let [size, crc] = [0, 0xffffffff];
    for await (const piece of pieces) {
      size += piece.length;
      demand(size <= member.size, "a member is longer than it says");
      crc = crcOver(crc, piece);
      yield piece;
    }
    demand(size === member.size, "a member is shorter than it says");
    demand((crc ^ 0xffffffff) >>> 0 === member.crc, "a member is damaged");
  }

  /** Reads everything and keeps nothing: what is damaged, or has too long a line where lines count, is found. @throws Unreadable */
  async readThrough(most: number): Promise<void> {
    for (const name of this.names) {
      const parts = name.endsWith(".jsonl") ? this.lines(name, most) : this.stream(name);
      while (!(await parts.next()).done);
    }
  }

  /** The whole content. @throws Unreadable */
  async read(name: string): Promise<Bytes> {
    const pieces: Bytes[] = [];
    for await (const piece of this.stream(name)) pieces.push(piece);
    return concat(...pieces);
  }

  /**
   * The lines, each without its line feed; the last one may lack it, which `ended` then tells.
   * @throws Unreadable for a line longer than `most` bytes
   */
  async *lines(name: string, most: number): AsyncGenerator<{ line: Bytes; ended: boolean }, void, undefined> {
    let rest: Bytes = new Uint8Array();
    for await (const piece of this.stream(name)) {
      let from = 0;
      for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, from)) {
        const line = rest.length === 0 ? piece.subarray(from, end) : concat(rest, piece.subarray(from, end));
        demand(line.length <= most, `${name}: a line is too long`);
        yield { line, ended: true };
        rest = new Uint8Array();
        from = end + 1;
      }
      rest = rest.length === 0 ? piece.slice(from) : concat(rest, piece.subarray(from));
      demand(rest.length <= most, `${name}: a line is too long`);
    }
    if (rest.length > 0) yield { line: rest, ended: false };
  }
}
