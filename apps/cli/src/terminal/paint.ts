/**
 * Colours, where there is a terminal to show them and nobody who minds.
 *
 * Rules of this file: a stream that is no terminal gets plain text, and `NO_COLOR` counts (https://no-color.org), unless
 * `--color` says otherwise. Text of others has been made visible before it comes here; nothing is taken out of it.
 */

import type { TextRole } from '@reg/core/transcript';
import type { Output, Surroundings } from '../surroundings.ts';

/** Colours `text` for what it is. */
export type Paint = (role: TextRole, text: string) => string;

/** SGR parameters, on and off. The first sixteen colours follow the theme of the terminal. */
const colours = {
  number: [1, 22],
  request: [1, 22],
  good: [32, 39],
  bad: [31, 39],
  name: [36, 39],
  meaning: [33, 39],
  faint: [2, 22],
} as const satisfies Record<TextRole, readonly [on: number, off: number]>;

/** `--color`. */
export type Color = 'auto' | 'always' | 'never';

/** How to paint what goes to `output`. */
export function paintFor(output: Output, env: Surroundings['env'], color: Color = 'auto'): Paint {
  if (!wantsColor(output, env, color)) return (_, text) => text;
  return (role, text) => {
    const [on, off] = colours[role];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  };
}

/** What the command line says counts before the environment, and that before what the stream is. */
export function wantsColor(output: Output, env: Surroundings['env'], color: Color = 'auto'): boolean {
  if (color !== 'auto') return color === 'always';
  return output.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** Columns to break lines at; text that is kept or piped on is not broken. */
export function widthOf({ isTTY, columns }: Output): number {
  return isTTY === true && columns !== undefined && columns > 0
    ? Math.max(columns, 40)
    : Number.POSITIVE_INFINITY;
}
