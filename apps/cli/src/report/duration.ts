/**
 * How long something is, for people.
 *
 * Rules of this file: pure; every length of time is written here but limits, which stay in seconds, as options take them.
 */

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** `1 h 20 min`, `6 h`, `58 s`: the largest unit, and what there is of the one below it. What is not 0 is 1 s at least. */
export function duration(ms: number): string {
  let seconds = ms > 0 ? Math.max(1, Math.round(ms / 1_000)) : 0;
  const largest = units.findIndex(([, size]) => size <= seconds);
  const parts: string[] = [];
  for (const [unit, size] of units.slice(largest, largest + 2)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.length === 0 ? '0 s' : parts.join(' ');
}
