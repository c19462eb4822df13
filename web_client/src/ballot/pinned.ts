/** One manifest per election and device: a server that shows another one later is caught. */
import type { Keystore } from "../identity/keystore.ts";
import { ensure } from "./errors.ts";
import type { OpenManifest } from "./manifest.ts";

/**
 * The first manifest that this device sees of an election is the only one, whatever it does there: votes, signs, counts.
 * @throws VotingError `voting.manifest` when the server shows another one later
 */
export async function pinManifest(keystore: Keystore, { id, meeting, election }: Pick<OpenManifest, "id" | "meeting" | "election">): Promise<void> {
  const first = await keystore.decide<string>(`manifest/${meeting}/${election}`, id);
  ensure(first === id, "voting.manifest", "The server has shown this device another version of this vote before.");
}
