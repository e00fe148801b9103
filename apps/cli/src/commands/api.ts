/** `reg api` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface ApiOptions extends Omit<NetworkOptions, 'input'> {
  readonly registry?: string;
  readonly method?: string;
  readonly header?: readonly string[];
  /** A file, or false with `--no-input`. */
  readonly input?: string | boolean;
  readonly include?: boolean;
  readonly paginate?: boolean;
  readonly silent?: boolean;
  readonly scope?: readonly string[];
}

export async function api(
  _first: string,
  _second: string | undefined,
  _options: ApiOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
