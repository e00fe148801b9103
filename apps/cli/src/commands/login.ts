/** `reg login` */

import type { CommonOptions, ConnectionOptions, FileOptions, GivenOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface LoginOptions extends GivenOptions, FileOptions, ConnectionOptions, CommonOptions {
  readonly identityTokenStdin?: boolean;
  readonly scope?: string;
  /** False with `--no-verify`. */
  readonly verify?: boolean;
  readonly store?: string;
  readonly output: 'text' | 'json';
}

export async function login(
  _registry: string,
  _options: LoginOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
