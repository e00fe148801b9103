/** `reg demo` */

import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export async function demo(_surroundings: Surroundings): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
