/** `reg catalog` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface CatalogOptions extends NetworkOptions {
  readonly last?: string;
  readonly limit?: string;
  readonly output: 'text' | 'json' | 'ndjson';
}

export async function catalog(
  _registry: string,
  _options: CatalogOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
