/**
 * Cases that a runtime cannot pass, with the reason.
 *
 * Rules of this file: an exception holds for the case it names and is held to it: one that passes after all fails the run, and so
 * does one that no case has the name of. What we could mend is mended, not listed.
 */

import type { Package } from './start.ts';

export interface Exception {
  /** The beginning of the name of one runtime, or of several alike. */
  readonly runtime: string;
  readonly package: Package;
  readonly case: string;
  readonly why: string;
}

export const exceptions: readonly Exception[] = [];
