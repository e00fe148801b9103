/**
 * The options that say how this command talks, read from a command line that may not even parse.
 *
 * Rules of this file: words alone, without the tree of commands: it is asked before there is one, and after it gave up. A value
 * of another option that looks like one of these is taken for it, which changes how something is said and nothing else.
 */

import type { Color } from '../terminal/paint.ts';

export interface Settings {
  /** `-q`, or what the tree makes of `-o json`. */
  readonly quiet: boolean;
  /** How often `-v` was given. */
  readonly verbose: number;
  readonly color: Color;
  /** What a program may read: also what went wrong is JSON, then. */
  readonly output: 'text' | 'json' | 'ndjson';
}

/** What `args` say, up to `--`. */
export function settingsIn(args: readonly string[]): Settings {
  let quiet = false;
  let verbose = 0;
  let color: Color = 'auto';
  let output: Settings['output'] = 'text';
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  for (const [index, word] of words.entries()) {
    const next = words[index + 1] ?? '';
    // `-qvo json` is `-q -v -o json`; these are the letters of options without a value that every command may have.
    const letters = /^-([hikqvy]*)(?:o(.*))?$/s.exec(word);
    if (word === '--quiet' || letters?.[1]?.includes('q') === true) quiet = true;
    if (word === '--verbose') verbose += 1;
    verbose += letters?.[1]?.split('v').slice(1).length ?? 0;
    const format = letters?.[2] === '' ? next : (letters?.[2] ?? optionValue('--output', word, next));
    if (format === 'json' || format === 'ndjson' || format === 'text') output = format;
    const when = optionValue('--color', word, next);
    if (when === 'always' || when === 'never' || when === 'auto') color = when;
  }
  return { quiet: quiet || (output !== 'text' && verbose === 0), verbose, color, output };
}

/** `--name=value`, or `--name` and the next word. */
function optionValue(name: string, word: string, next: string): string | undefined {
  if (word === name) return next;
  return word.startsWith(`${name}=`) ? word.slice(name.length + 1) : undefined;
}
