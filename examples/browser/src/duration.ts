/** Lengths of time, in words. */

/** `38 ms`, `1.2 s`, `48 s`, `5 min`, `4 min 58 s`, `2 h 5 min`: as exact as a person wants it. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9_950) return `${Math.round(ms / 100) / 10} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return twoParts(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  return twoParts(Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'min');
}

function twoParts(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}
