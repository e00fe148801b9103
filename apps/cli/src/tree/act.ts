/**
 * How a declared command is run.
 *
 * Rules of this file: types only.
 */

import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

/**
 * What a command does: resolves when it did what it was asked, with an exit code where that is not the whole story, as of a
 * `doctor` that found something. Throws a `Complaint` when it could not do it.
 */
export type Action<A extends readonly unknown[]> = (...args: A) => Promise<ExitCode | undefined>;

/** What a declaration gets beside the command to add to. */
export interface Context {
  readonly surroundings: Surroundings;
  /** Makes an action of commander's of one of ours. */
  readonly act: <A extends readonly unknown[]>(action: Action<A>) => (...args: A) => Promise<void>;
}
