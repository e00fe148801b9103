/** `reg logout` */

import type { CommonOptions, FileOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface LogoutOptions extends FileOptions, CommonOptions {
  readonly all?: boolean;
  readonly purgeCache?: boolean;
  readonly output: 'text' | 'json';
}

export async function logout(
  _registries: readonly string[],
  _options: LogoutOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
