/** Web Worker of the booth: holds the credential, checks manifests, builds and signs ballots. */
import { openKeystore } from "../identity/keystore.ts";
import { boothMethods } from "./booth_service.ts";
import { type Channel, serve } from "./rpc.ts";
import { systemRng } from "./signing.ts";

serve(globalThis as unknown as Channel, boothMethods(openKeystore, systemRng));
