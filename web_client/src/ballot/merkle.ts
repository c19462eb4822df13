/** RFC 6962 tree hashing: roots while entries arrive, inclusion and consistency proofs (RFC 9162, section 2.1). */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bytes, concat, same } from "./encoding.ts";
import { ensure } from "./errors.ts";

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

export const leafHash = (data: Uint8Array): Bytes => sha256(concat(LEAF, data));
const nodeHash = (left: Uint8Array, right: Uint8Array): Bytes => sha256(concat(NODE, left, right));

/** An append-only tree that keeps only the roots of its complete subtrees. */
export class Tree {
  private readonly stack: { hash: Bytes; leaves: number }[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Appends a leaf hash (32 bytes). */
  append(leaf: Bytes): void {
    let top = { hash: leaf, leaves: 1 };
    this.count += 1;
    for (;;) {
      const left = this.stack.at(-1);
      if (left === undefined || left.leaves !== top.leaves) break;
      this.stack.pop();
      top = { hash: nodeHash(left.hash, top.hash), leaves: left.leaves * 2 };
    }
    this.stack.push(top);
  }

  root(): Bytes {
    const last = this.stack.at(-1);
    if (last === undefined) return sha256(new Uint8Array());
    return this.stack.slice(0, -1).reduceRight((right, left) => nodeHash(left.hash, right), last.hash);
  }
}

/** The root over leaf hashes. */
export function root(leaves: readonly Bytes[]): Bytes {
  const tree = new Tree();
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
}

function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** The audit path of `leaves[index]`, nearest sibling first. */
export function inclusionProof(leaves: readonly Bytes[], index: number): Bytes[] {
  if (leaves.length <= 1) return [];
  const k = splitPoint(leaves.length);
  return index < k
    ? [...inclusionProof(leaves.slice(0, k), index), root(leaves.slice(k))]
    : [...inclusionProof(leaves.slice(k), index - k), root(leaves.slice(0, k))];
}

/** The consistency proof from the first `first` leaves to all of them. */
export function consistencyProof(leaves: readonly Bytes[], first: number): Bytes[] {
  const sub = (m: number, part: readonly Bytes[], whole: boolean): Bytes[] => {
    if (m === part.length) return whole ? [] : [root(part)];
    const k = splitPoint(part.length);
    return m <= k
      ? [...sub(m, part.slice(0, k), whole), root(part.slice(k))]
      : [...sub(m - k, part.slice(k), false), root(part.slice(0, k))];
  };
  return first === 0 ? [] : sub(first, leaves, true);
}

/** True when `proof` shows that `leaf` is number `index` of the tree with `size` leaves and this root. */
export function verifyInclusion(leaf: Bytes, index: number, size: number, proof: readonly Bytes[], treeRoot: Bytes): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(hash, treeRoot);
}

export interface TreeHead {
  size: number;
  root: Bytes;
}

/** True when `proof` shows that the older tree is a prefix of the newer one. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Bytes[]): boolean {
  if (older.size > newer.size || older.size < 0) return false;
  if (older.size === newer.size) return proof.length === 0 && same(older.root, newer.root);
  if (older.size === 0) return proof.length === 0;
  let at = older.size - 1;
  let last = newer.size - 1;
  while (at % 2 === 1) {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  const path = at === 0 ? [older.root, ...proof] : [...proof];
  const seed = path.shift();
  if (seed === undefined) return false;
  let oldHash = seed;
  let newHash = seed;
  for (const sibling of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2);
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(oldHash, older.root) && same(newHash, newer.root);
}

/** Throws unless the newer tree head extends the older one. @throws VotingError `voting.ledger` */
export function requireConsistency(older: TreeHead, newer: TreeHead, proof: readonly Bytes[]): void {
  ensure(verifyConsistency(older, newer, proof), "voting.ledger", "The log has forgotten something that this page saw before.");
}
