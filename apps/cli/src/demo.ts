/** The entry of `npx -y pnpm demo`: `reg demo`, which names the command as it is called in this workspace. */

import { demo } from './commands/demo.ts';
import { runInProcess } from './process.ts';
import { exitCode } from './report/exit-code.ts';
import { report } from './report/report.ts';

const reg = 'npx -y pnpm reg';

runInProcess((surroundings) =>
  demo({}, surroundings, reg).then(
    () => exitCode.ok,
    (error) => report(error, { help: `${reg} demo --help`, args: [] }, surroundings),
  ),
);
