/** One page of a paper, as the server's answer holds it. */

export interface Page {
  /** A picture as a data: address, or empty. */
  picture: string;
  text: string;
}

function picture(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", () => reject(new Error("unreadable")));
    reader.readAsDataURL(blob);
  });
}

export async function readPage(answer: Response): Promise<Page> {
  const isText = answer.headers.get("Content-Type")?.startsWith("text/plain") ?? false;
  return isText ? { picture: "", text: await answer.text() } : { picture: await picture(await answer.blob()), text: "" };
}
