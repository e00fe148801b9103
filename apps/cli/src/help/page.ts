/** Pages of help that are no command's: text of 80 columns, as wide as it is on any terminal. */

import { wrapped } from '../terminal/wrap.ts';

const WIDTH = 80;

/**
 * Terms and what they mean, in two columns.
 *
 * @param room of the first column: the longest of the page's terms
 */
export function rows(entries: readonly (readonly [term: string, meaning: string])[], room: number): string {
  const indent = ' '.repeat(room + 4);
  return entries
    .map(([term, meaning]) => {
      const [first = '', ...rest] = wrapped(meaning, WIDTH - indent.length);
      return [`  ${term.padEnd(room)}  ${first}`, ...rest.map((line) => indent + line)].join('\n');
    })
    .join('\n');
}
