/** `reg token` */

import type { NetworkOptions, ScopeOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface TokenOptions extends NetworkOptions, ScopeOptions {
  readonly mount?: readonly string[];
  readonly header?: boolean;
  readonly inspect?: boolean;
  readonly output: 'text' | 'json';
}

export async function token(
  _about: string,
  _options: TokenOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
