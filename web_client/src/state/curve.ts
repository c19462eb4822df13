/** The quorum curve as paths of a drawing. Pure. */
import type { CurvePoint } from "../api/types_sites.ts";

/** Stairs through the points: time to the right over the whole width, members upwards. */
export function curveSteps(points: readonly CurvePoint[], width: number, height: number, highest: number): { present: string; needed: string } {
  const first = points[0]?.at ?? 0;
  const length = Math.max(1, (points.at(-1)?.at ?? 0) - first);
  const x = (at: number): number => Math.round(((at - first) / length) * width);
  const y = (n: number): number => Math.round(height - (n / highest) * height);
  const stairs = (value: (point: CurvePoint) => number): string =>
    points.map((point, i) => (i === 0 ? `M${x(point.at)} ${y(value(point))}` : `H${x(point.at)}V${y(value(point))}`)).join("") + (points.length === 1 ? `H${width}` : "");
  return { present: stairs((point) => point.present), needed: stairs((point) => point.needed) };
}
