/** Which of millions of points occur twice, in 8 bytes for each point. */
import type { Bytes, Rng } from "../ballot/encoding.ts";

const FIRST_SLOTS = 1 << 12;
/** Slots are doubled when more than this part of them is taken. */
const FULL = 0.6;

/**
 * Hashes points to 52 bits under a random key, so that nobody can prepare collisions. A hash that occurs in two
 * ballots is a suspicion, to be settled by comparing the points themselves.
 */
export class PointSet {
  private readonly key: Uint32Array;
  /** Hash + 1, so that 0 is an empty slot. */
  private slots = new Float64Array(FIRST_SLOTS);
  private count = 0;
  readonly suspects = new Set<number>();

  constructor(rng: Rng) {
    const seed = rng(72);
    this.key = new Uint32Array(seed.buffer.slice(seed.byteOffset, seed.byteOffset + 72));
  }

  /** 52 bits of a 32-byte point: two sums of words with random odd multipliers, mixed. */
  hash(point: Bytes): number {
    let [a, b] = [this.key[16] ?? 0, this.key[17] ?? 0];
    for (let i = 0; i < 8; i++) {
      const word = (point[4 * i] ?? 0) | ((point[4 * i + 1] ?? 0) << 8) | ((point[4 * i + 2] ?? 0) << 16) | ((point[4 * i + 3] ?? 0) << 24);
      a = Math.imul(a ^ word, (this.key[i] ?? 0) | 1);
      a ^= a >>> 15;
      b = Math.imul(b ^ word, (this.key[8 + i] ?? 0) | 1);
      b ^= b >>> 13;
    }
    return (a >>> 0) * 2 ** 20 + (b >>> 12);
  }

  /** Adds the points of one ballot; the same point twice in it counts once. */
  add(points: readonly Bytes[]): void {
    for (const hash of new Set(points.map((point) => this.hash(point)))) this.put(hash);
  }

  private put(hash: number): void {
    if (this.count > this.slots.length * FULL) this.grow();
    if (this.place(hash)) this.count += 1;
    else this.suspects.add(hash);
  }

  private place(hash: number): boolean {
    const mask = this.slots.length - 1;
    for (let at = (hash / 2 ** 20) & mask; ; at = (at + 1) & mask) {
      const found = this.slots[at] ?? 0;
      if (found === hash + 1) return false;
      if (found === 0) {
        this.slots[at] = hash + 1;
        return true;
      }
    }
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Float64Array(old.length * 2);
    for (const value of old) if (value !== 0) this.place(value - 1);
  }
}
