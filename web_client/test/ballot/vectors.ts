/** Reads tests/vectors/fm1 for the tests. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Bytes, type Rng, fromB64u } from "../../src/ballot/encoding.ts";
import { VotingError } from "../../src/ballot/errors.ts";

const read = (name: string): Buffer => readFileSync(new URL(`../../../tests/vectors/fm1/${name}`, import.meta.url));
export const load = <T>(name: string): T => JSON.parse(read(`${name}.json`).toString("utf8")) as T;
export const refusedWith = (code: string) => (error: unknown) => error instanceof VotingError && error.code === code;
export const unhex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
export const key32 = (text: string): Bytes => fromB64u(text, 32);

/** Hands out the recorded draws in order and refuses any other length. */
export function replay(draws: readonly string[]): Rng {
  const left = draws.map((draw) => fromB64u(draw));
  return (n) => {
    const next = left.shift();
    assert.equal(next?.length, n);
    return next ?? new Uint8Array();
  };
}
