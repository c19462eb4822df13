/** Shapes of JSON values: a shape checks one value and gives it back typed; it names the place when it does not fit. */
import { type Bytes, type Json, type JsonObject, canonical, fromB64u, fromUtf8, isWellFormed, utf8 } from "../ballot/encoding.ts";
import { VotingError } from "../ballot/errors.ts";
import { Malformed } from "./report.ts";

export type Shape<T> = (value: Json | undefined, place: string) => T;
export type Shaped<S> = S extends Shape<infer T> ? T : never;

const MAX_DEPTH = 16;
// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

function fail(place: string, wanted: string): never {
  throw new Malformed(`${place}: ${wanted}`);
}

/** An object with exactly these fields. */
export function record<S extends Record<string, Shape<unknown>>>(shapes: S): Shape<{ [K in keyof S]: Shaped<S[K]> }> {
  const names = Object.keys(shapes);
  return (value, place) => {
    if (typeof value !== "object" || Array.isArray(value)) return fail(place, "an object is expected");
    const odd = Object.keys(value).find((name) => !Object.hasOwn(shapes, name));
    if (odd !== undefined) return fail(place, `unknown field ${odd.slice(0, 40)}`);
    for (const name of names) {
      if (!Object.hasOwn(value, name)) fail(place, `missing field ${name}`);
      shapes[name]?.(value[name], `${place}: ${name}`);
    }
    // The shapes only look at values, so the checked object is the result.
    return value as unknown as { [K in keyof S]: Shaped<S[K]> };
  };
}

/** A list of `least` to `most` values of one shape. */
export function items<T>(shape: Shape<T>, least = 0, most = Number.MAX_SAFE_INTEGER): Shape<T[]> {
  return (value, place) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) return fail(place, "a list of another length is expected");
    for (const [i, item] of value.entries()) shape(item, `${place} ${i}`);
    return value as unknown as T[];
  };
}

/** An integer within bounds. */
export function integer(least = 0, most = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, place) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most ? value : fail(place, "an integer in its bounds is expected");
}

export const boolean: Shape<boolean> = (value, place) => (typeof value === "boolean" ? value : fail(place, "true or false is expected"));

export const ident: Shape<string> = (value, place) => (typeof value === "string" && ID.test(value) ? value : fail(place, "an id is expected"));

/** Text of section 1; line feeds only where they are allowed. */
export function text(most = 200, lineFeeds = false): Shape<string> {
  return (value, place) => {
    if (typeof value !== "string" || value === "" || utf8(value).length > most) return fail(place, `text of 1 to ${most} bytes is expected`);
    return CONTROL.test(lineFeeds ? value.replaceAll("\n", "") : value) ? fail(place, "text holds a control character") : value;
  };
}

/** Any string of at most `most` UTF-8 bytes. */
export function freeText(most: number): Shape<string> {
  return (value, place) => (typeof value === "string" && utf8(value).length <= most ? value : fail(place, `text of at most ${most} bytes is expected`));
}

/** A b64u string of `least` to `most` bytes; stays a string. */
export function binary(least: number, most = least): Shape<string> {
  return (value, place) => {
    if (typeof value !== "string") return fail(place, "a base64url string is expected");
    try {
      const { length } = fromB64u(value);
      if (length >= least && length <= most) return value;
    } catch (error) {
      if (!(error instanceof VotingError)) throw error;
      return fail(place, "not strict base64url");
    }
    return fail(place, "a byte string of another length is expected");
  };
}

export function constant<const T extends string | number>(expected: T): Shape<T> {
  return (value, place) => (value === expected ? expected : fail(place, `must be ${JSON.stringify(expected)}`));
}

export function oneOf<const T extends string>(...allowed: T[]): Shape<T> {
  return (value, place) => allowed.find((word) => word === value) ?? fail(place, `must be one of ${allowed.join(", ")}`);
}

/** The empty string, or the shape. */
export const emptyOr =
  (shape: Shape<string>): Shape<string> =>
  (value, place) =>
    value === "" ? "" : shape(value, place);

/** One of several records, told apart by their field `type`. */
export function tagged<S extends Record<string, Shape<unknown>>>(shapes: S): Shape<Shaped<S[keyof S]>> {
  return (value, place) => {
    const type = typeof value === "object" && !Array.isArray(value) ? value["type"] : undefined;
    const shape = typeof type === "string" && Object.hasOwn(shapes, type) ? shapes[type] : undefined;
    if (shape === undefined) return fail(place, "unknown type");
    return shape(value, place) as Shaped<S[keyof S]>;
  };
}

export const object: Shape<JsonObject> = (value, place) =>
  typeof value === "object" && !Array.isArray(value) ? value : fail(place, "an object is expected");

export const hash32 = binary(32);
export const signature = binary(64);
export const count = integer();

function strict(value: unknown, depth: number): boolean {
  if (typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value === "string") return isWellFormed(value) && value.normalize("NFC") === value;
  if (typeof value !== "object" || value === null || depth >= MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => strict(item, depth + 1));
  return Object.entries(value).every(([name, item]) => strict(name, depth) && strict(item, depth + 1));
}

/**
 * The value of bytes that are exactly its RFC 8785 form. Duplicate keys, other numbers, white space and
 * another order do not survive the comparison. `depth` is how deep inside others the value stands.
 * @throws Malformed
 */
export function parseJson<T>(bytes: Bytes, shape: Shape<T>, place: string, depth = 0): T {
  const source = decodeText(bytes, place);
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return fail(place, "not JSON");
  }
  if (!strict(value, depth)) return fail(place, "JSON with a value that is refused");
  if (canonical(value as Json) !== source) return fail(place, "not canonical JSON (RFC 8785)");
  return shape(value as Json, place);
}

/** The text of UTF-8 bytes. @throws Malformed */
export function decodeText(bytes: Bytes, place: string): string {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    if (!(error instanceof VotingError)) throw error;
    return fail(place, "not UTF-8");
  }
}
