/** `reg ratelimit` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface RatelimitOptions extends NetworkOptions {
  readonly output: 'text' | 'json';
}

export async function ratelimit(
  _repository: string | undefined,
  _options: RatelimitOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
