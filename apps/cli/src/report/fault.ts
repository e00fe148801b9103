/**
 * What is wrong with a command line that does not parse, in words.
 *
 * Rules of this file: the parser repeats what it was given, and that may be a password: `--password=…`, `-p…`, one word too
 * many behind a user name, a login before an `@`. Names are repeated, values are not.
 */

import type { CommanderError } from 'commander';

/** The parser's message about `args`, without its label and on one line. */
export function commandLineFault({ code, message }: CommanderError, args: readonly string[]): string {
  const text = message.replace(/^error: /, '');
  switch (code) {
    case 'commander.unknownOption': {
      const { quoted, suggestion } = taken(text);
      const ahead = args[0] === quoted && args.some((arg) => !arg.startsWith('-'));
      return `unknown option '${optionName(quoted)}'${suggestion}${ahead ? ': options come behind the command' : ''}`;
    }
    case 'commander.unknownCommand': {
      const { quoted, suggestion } = taken(text);
      return quoted.includes('@') ? 'unknown command' : `unknown command '${quoted}'${suggestion}`;
    }
    case 'commander.excessArguments':
      // Behind the colon are all of them.
      return text.slice(0, text.indexOf(': '));
    default:
      return text;
  }
}

/** `unknown option 'x'`, and perhaps behind that `(Did you mean y?)` on a line of its own; `x` may hold quotes and lines. */
function taken(text: string): { readonly quoted: string; readonly suggestion: string } {
  const found = /'\n(\(Did you mean [a-z, -]+\?\))$/.exec(text);
  const quoted = text.slice(text.indexOf("'") + 1, found?.index ?? -1);
  return { quoted, suggestion: found === null ? '' : ` ${found[1]}` };
}

function optionName(option: string): string {
  if (!option.startsWith('--')) return option.slice(0, 2);
  const value = option.indexOf('=');
  return value < 0 ? option : option.slice(0, value);
}

/** Whether the parser threw it; by its code, since whoever reports something else has no parser loaded. */
export function isCommandLineFault(error: unknown): error is CommanderError {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' && code.startsWith('commander.');
}
