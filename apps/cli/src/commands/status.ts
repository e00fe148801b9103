/** `reg status` */

import type { CommonOptions, ConnectionOptions, FileOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface StatusOptions extends FileOptions, ConnectionOptions, CommonOptions {
  readonly check?: boolean;
  readonly output: 'text' | 'json';
}

export async function status(
  _registry: string | undefined,
  _options: StatusOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
