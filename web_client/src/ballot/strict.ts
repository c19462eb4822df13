/** Strict reading of JSON objects: every field named, typed and bounded, none unknown. */
import { type Bytes, type Json, type JsonObject, fromB64u, utf8 } from "./encoding.ts";
import { VotingError, ensure } from "./errors.ts";

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_TEXT_BYTES = 200;
const MAX_QUESTION_BYTES = 2000;
// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Reads one object whose fields must be exactly those asked for. */
export class Fields<Name extends string> {
  readonly json: JsonObject;
  private readonly what: string;

  /** @throws VotingError `voting.encoding` when a field is missing or unknown. */
  constructor(value: Json | undefined, what: string, names: readonly Name[]) {
    ensure(typeof value === "object" && !Array.isArray(value), "voting.encoding", `${what} is not an object.`);
    const found = Object.keys(value);
    ensure(
      found.length === names.length && names.every((name) => Object.hasOwn(value, name)),
      "voting.encoding",
      `${what} must have exactly the fields ${names.join(", ")}.`,
    );
    this.json = value;
    this.what = what;
  }

  private fail(name: string, wanted: string): never {
    throw new VotingError("voting.encoding", `${this.what}: ${name} must be ${wanted}.`);
  }

  raw(name: Name): Json | undefined {
    return this.json[name];
  }

  /** Non-empty text of at most 200 bytes without control characters. */
  text(name: Name): string {
    return textItem(this.json[name], `${this.what}: ${name}`);
  }

  /** Text of at most 2000 bytes that may hold line feeds. */
  longText(name: Name): string {
    const value = this.json[name];
    return typeof value === "string" && value !== "" && !CONTROL.test(value.replaceAll("\n", "")) && utf8(value).length <= MAX_QUESTION_BYTES
      ? value
      : this.fail(name, "text of at most 2000 bytes");
  }

  id(name: Name): string {
    const value = this.json[name];
    return typeof value === "string" && ID.test(value) ? value : this.fail(name, "an id");
  }

  int(name: Name, least: number, most: number): number {
    const value = this.json[name];
    return typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most
      ? value
      : this.fail(name, `an integer from ${least} to ${most}`);
  }

  /** A base64url string; returns the string, having checked that it decodes to `length` bytes. */
  b64(name: Name, length: number): string {
    return b64Item(this.json[name], `${this.what}: ${name}`, length);
  }

  bytes(name: Name, length?: number): Bytes {
    const value = this.json[name];
    return typeof value === "string" ? fromB64u(value, length) : this.fail(name, "a base64url string");
  }

  one<const T extends string>(name: Name, values: readonly T[]): T {
    const value = this.json[name];
    return values.find((allowed) => allowed === value) ?? this.fail(name, values.join(" or "));
  }

  exactly(name: Name, value: string | number): void {
    if (this.json[name] !== value) this.fail(name, JSON.stringify(value));
  }

  flag(name: Name): boolean {
    const value = this.json[name];
    return typeof value === "boolean" ? value : this.fail(name, "true or false");
  }

  list(name: Name, least: number, most: number): Json[] {
    const value = this.json[name];
    return Array.isArray(value) && value.length >= least && value.length <= most
      ? value
      : this.fail(name, `a list of ${least} to ${most}`);
  }

  /** A list of base64url strings of `length` bytes each. */
  b64List(name: Name, least: number, most: number, length: number): string[] {
    return this.list(name, least, most).map((item) => b64Item(item, `${this.what}: ${name}`, length));
  }
}

export function textItem(value: Json | undefined, what: string): string {
  ensure(
    typeof value === "string" && value !== "" && !CONTROL.test(value) && utf8(value).length <= MAX_TEXT_BYTES,
    "voting.encoding",
    `${what} must be text of at most 200 bytes.`,
  );
  return value;
}

function b64Item(value: Json | undefined, what: string, length: number): string {
  ensure(typeof value === "string", "voting.encoding", `${what} must be a base64url string.`);
  fromB64u(value, length);
  return value;
}

export function allDifferent(items: readonly string[]): boolean {
  return new Set(items).size === items.length;
}
