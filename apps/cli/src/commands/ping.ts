/** `reg ping` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface PingOptions extends NetworkOptions {
  readonly count: string;
  readonly maxTime?: string;
  readonly output: 'text' | 'json' | 'ndjson';
}

export async function ping(
  _registries: readonly string[],
  _options: PingOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
