/** `reg cache` */

import type { CommonOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface CacheOptions extends CommonOptions {
  readonly output?: 'text' | 'json';
}

export async function cache(
  _action: 'ls' | 'clear' | 'path',
  _registry: string | undefined,
  _options: CacheOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
