/** `reg doctor` */

import type { NetworkOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface DoctorOptions extends NetworkOptions {
  readonly offline?: boolean;
  readonly push?: boolean;
  readonly browser?: string;
  readonly only?: readonly string[];
  readonly output: 'text' | 'json';
}

export async function doctor(
  _about: string,
  _options: DoctorOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
