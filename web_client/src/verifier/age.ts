/** The annex as it travels: an age file (age-encryption.org/v1) for the auditors' keys. The library is fetched only for one. */
import { Unreadable } from "./report.ts";

const MAGIC = "age-encryption.org/v1\n";
const IDENTITY = /^AGE-SECRET-KEY-1[0-9A-Z]+$/;

export const isAgeFile = async (file: Blob): Promise<boolean> => (await file.slice(0, MAGIC.length).text()) === MAGIC;

/** The identities in a key file: its lines that are neither empty nor comments. @throws Unreadable for any other line */
export function readIdentities(text: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  if (!lines.every((line) => IDENTITY.test(line))) throw new Unreadable("the key file holds something else than age identities");
  return lines;
}

/** The zip inside an age file, or the file itself when it is none. @throws Unreadable when none of the identities opens it */
export async function openAnnex(file: Blob, identities: string): Promise<Blob> {
  if (!(await isAgeFile(file))) return file;
  const keys = readIdentities(identities);
  if (keys.length === 0) throw new Unreadable("the annex is encrypted; a key file is needed");
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  try {
    for (const key of keys) decrypter.addIdentity(key);
    return await new Response(await decrypter.decrypt(file.stream())).blob();
  } catch (error) {
    if (error instanceof Error) throw new Unreadable("none of the given identities opens the annex"); // whatever the library says of a damaged file
    throw error;
  }
}
