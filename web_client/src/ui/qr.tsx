/** A square code: dark squares on white whatever the page's colours, phones read nothing else. */
import encodeQr from "qr";

export function Qr({ text, label, testid }: { text: string; label: string; testid?: string }) {
  const rows = encodeQr(text, "raw", { ecc: "low", border: 4 });
  const path = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${rows.length} ${rows.length}`} shape-rendering="crispEdges" data-testid={testid}>
      <rect width={rows.length} height={rows.length} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
