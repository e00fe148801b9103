// The handshake in every runtime. Installs them (runtimes/ has a lockfile of its own), builds the packages, and runs what
// runtimes/main.ts says. Arguments are names of runtimes: `pnpm test:runtimes deno` runs that one alone.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, run } from './pack.ts';

const folder = join(root, 'runtimes');
// Not `--ignore-workspace`: the folder's own pnpm-workspace.yaml ends the search, and says whose install scripts may run.
run('npx', ['-y', 'pnpm', 'install', '--frozen-lockfile'], folder);
run('npx', ['-y', 'pnpm', 'build'], root);
run('npx', ['-y', 'pnpm', 'exec', 'tsc', '-p', 'runtimes'], root);
const { status } = spawnSync(process.execPath, [join(folder, 'main.ts'), ...process.argv.slice(2)], {
  stdio: 'inherit',
  // Each alone can double a start, and a runtime is to have what it has.
  env: { ...process.env, NODE_OPTIONS: '', NODE_EXTRA_CA_CERTS: '', SSL_CERT_FILE: '' },
});
process.exit(status ?? 1);
