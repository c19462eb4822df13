/**
 * Reads a zip strictly and within the limits of section 9, from its central directory (PKWARE APPNOTE 6.3).
 * Zip64, encryption, directories, several disks and methods other than stored and deflated are refused.
 */
import { type Bytes, same } from "../ballot/encoding.ts";
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
const MAX_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
/** Encrypted, patch data, strong encryption, masked headers. */
const REFUSED_FLAGS = 0x0001 | 0x0020 | 0x0040 | 0x2000;

interface Member {
  name: Bytes;
  method: number;
  crc: number;
  packed: number;
  size: number;
  offset: number;
}

export type Files = ReadonlyMap<string, Bytes>;

function demand(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Unreadable(why);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const viewOf = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function findEnd(raw: Bytes, view: DataView): number {
  const least = Math.max(0, raw.length - END_BYTES - MAX_COMMENT);
  for (let at = raw.length - END_BYTES; at >= least; at--) {
    if (view.getUint32(at, true) === END && at + END_BYTES + view.getUint16(at + 20, true) === raw.length) return at;
  }
  throw new Unreadable("not a readable zip");
}

function readMember(raw: Bytes, view: DataView, at: number, end: number): { member: Member; next: number } {
  demand(at + CENTRAL_BYTES <= end && view.getUint32(at, true) === CENTRAL, "not a readable zip");
  const [nameBytes, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true)) as [number, number, number];
  const next = at + CENTRAL_BYTES + nameBytes + extra + comment;
  demand(next <= end, "not a readable zip");
  const member: Member = {
    name: raw.slice(at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  demand((view.getUint16(at + 8, true) & REFUSED_FLAGS) === 0, "encrypted members are refused");
  demand(member.method === STORED || member.method === DEFLATED, "only stored and deflated members are read");
  demand(member.name.at(-1) !== 0x2f, "directories are refused");
  demand(![member.packed, member.size, member.offset].includes(0xffffffff), "zip64 is not read");
  return { member, next };
}

function readDirectory(raw: Bytes): Member[] {
  demand(raw.length <= MAX_ZIP, "the zip is larger than 256 MiB");
  demand(raw.length >= END_BYTES, "not a readable zip");
  const view = viewOf(raw);
  const end = findEnd(raw, view);
  const count = view.getUint16(end + 10, true);
  const [bytes, start] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  demand(view.getUint16(end + 4, true) === 0 && view.getUint16(end + 8, true) === count, "not a readable zip");
  demand(start + bytes === end, "not a readable zip");
  demand(count <= MAX_FILES, "too many files");
  const members: Member[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const { member, next } = readMember(raw, view, at, end);
    members.push(member);
    at = next;
  }
  demand(at === end, "not a readable zip");
  demand(members.reduce((sum, { size }) => sum + size, 0) <= MAX_UNPACKED, "more than 1 GiB unpacked");
  return members;
}

/** Inflates raw deflate to exactly `size` bytes; the platform's own decoder, stopped as soon as it gives more. */
async function inflate(packed: Bytes, size: number): Promise<Bytes> {
  const out = new Uint8Array(size);
  let at = 0;
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > size) {
        await reader.cancel();
        throw new Unreadable("a member is longer than it says");
      }
      out.set(value, at);
      at += value.length;
    }
  } catch (error) {
    // Whatever the decoder says about hostile bytes, they are not a readable zip.
    throw error instanceof Unreadable ? error : new Unreadable("not a readable zip");
  }
  demand(at === size, "a member is shorter than it says");
  return out;
}

async function readContent(raw: Bytes, member: Member): Promise<Bytes> {
  const view = viewOf(raw);
  const { offset, name, packed, size } = member;
  demand(offset + LOCAL_BYTES <= raw.length && view.getUint32(offset, true) === LOCAL, "not a readable zip");
  const [nameBytes, extra] = [view.getUint16(offset + 26, true), view.getUint16(offset + 28, true)];
  const start = offset + LOCAL_BYTES + nameBytes + extra;
  demand(start + packed <= raw.length, "not a readable zip");
  demand(same(raw.subarray(offset + LOCAL_BYTES, offset + LOCAL_BYTES + nameBytes), name), "a member has two names");
  const body = raw.slice(start, start + packed);
  demand(member.method === DEFLATED || packed === size, "not a readable zip");
  const content = member.method === STORED ? body : await inflate(body, size);
  demand(crc32(content) === member.crc, "a member is damaged");
  return content;
}

const latin = (bytes: Bytes): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/**
 * The files of a zip by name (bytes as Latin-1; the names of section 9 are ASCII).
 * @throws Unreadable for anything that is not a plain zip within the limits.
 */
export async function unpack(raw: Bytes): Promise<Files> {
  const members = readDirectory(raw);
  const files = new Map<string, Bytes>();
  const names = members.map(({ name }) => latin(name));
  demand(new Set(names).size === names.length, "a name comes twice");
  for (const [i, member] of members.entries()) files.set(names[i] ?? "", await readContent(raw, member));
  return files;
}
