/** This device's keystore, opened once; loaded only by screens that need it. */
import { type Keystore, openKeystore } from "../identity/keystore.ts";

let opened: Promise<Keystore> | null = null;

export function keystore(): Promise<Keystore> {
  opened ??= openKeystore().catch((error: unknown) => {
    opened = null;
    throw error;
  });
  return opened;
}
