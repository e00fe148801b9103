/** `reg completion` */

import { scripts } from '../completion/scripts.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Shell } from '../tree/names.ts';

export async function completion(shell: Shell, { stdout }: Surroundings): Promise<undefined> {
  stdout.write(scripts[shell]);
}
