/** `reg manifest` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface ManifestOptions extends NetworkOptions {
  readonly raw?: boolean;
  readonly head?: boolean;
  readonly digest?: boolean;
  readonly platform?: string;
  readonly output: 'text' | 'json';
}

export async function manifest(
  _reference: string,
  _options: ManifestOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
