/** `reg trust` */

import type { CommonOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface TrustOptions extends CommonOptions {
  readonly output?: 'text' | 'json';
}

export async function listTrust(
  _options: TrustOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}

export async function changeTrust(
  _action: 'add' | 'remove',
  _registry: string,
  _realm: string,
  _options: TrustOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
