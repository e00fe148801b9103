/**
 * Regular expressions of the user's, tried on names of a registry's.
 *
 * Rules of this file: a pattern that backtracks meets names that somebody may have chosen for it, and would then be busy for
 * ever, deaf to Ctrl-C: it has a time limit. Nothing else here is limited, since nothing else can take long.
 */

import { runInNewContext } from 'node:vm';
import { usage } from '../report/complaint.ts';

export interface PatternOptions {
  readonly include?: string;
  readonly exclude?: string;
}

/** Milliseconds for all names of a page. A pattern that does not backtrack takes one for ten thousand. */
const PATIENCE_MS = 1_000;

/** What keeps the names that the patterns want; `null` without patterns. Throws a `Complaint` when one is none. */
export function filterFor(
  { include, exclude }: PatternOptions,
  patience: number = PATIENCE_MS,
): ((names: readonly string[]) => readonly string[]) | null {
  const included = include === undefined ? null : patternIn('--include', include);
  const excluded = exclude === undefined ? null : patternIn('--exclude', exclude);
  if (included === null && excluded === null) return null;
  const wanted = (name: string): boolean =>
    (included === null || included.test(name)) && (excluded === null || !excluded.test(name));
  return (names) => inTime(() => names.filter(wanted), patience);
}

function patternIn(option: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // `Invalid regular expression: /(/: Unterminated group`, where the pattern may hold colons too.
    const reason = said.slice(said.lastIndexOf(': ') + 2);
    throw usage(`${option} '${pattern}' is no regular expression: ${reason}`);
  }
}

/** What `work` makes. Only a script of node:vm can be stopped in the middle of a regular expression. */
function inTime<T>(work: () => T, patience: number): T {
  const results: T[] = [];
  try {
    runInNewContext('run()', { run: () => results.push(work()) }, { timeout: patience });
  } catch (error) {
    if (!isTimeout(error)) throw error;
  }
  for (const result of results) return result;
  throw usage(
    'the names in this registry keep --include or --exclude busy without end: a repetition inside a repetition, like (a+)+, ' +
      'is best written as one',
  );
}

/** The error may be of another context, whose `Error` is not this one's. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}
