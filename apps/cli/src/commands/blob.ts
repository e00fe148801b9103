/** `reg blob` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface BlobOptions extends NetworkOptions {
  readonly out: string;
}

export async function blob(
  _reference: string,
  _options: BlobOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
