// A consumer installs the core from its tarball and has to type-check, strictly and with every declaration checked: in
// a runtime that has ES2023 and nothing else, and beside the names that the DOM or Node declares. Needs a build.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, root, run } from './pack.ts';

const consumer = `
import { describe, parseChallenges, start, step, type Failure } from '@reg/core';
import { createAuthorizer, type Send } from '@reg/core/driver';
import { toText } from '@reg/core/transcript';

declare const send: Send<{ status: number }>;
export const authorizer = createAuthorizer({ send });
export const words = (failure: Failure): string => describe(failure);
export const scheme: string | undefined = parseChallenges('Bearer realm="https://a.example/token"').challenges[0]?.scheme;
export const machine = { start, step, toText };
`;

const folder = mkdtempSync(join(tmpdir(), 'reg-consumer-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const installed = join(folder, 'node_modules/@reg/core');
mkdirSync(installed, { recursive: true });
run('tar', ['-xzf', pack('packages/core', folder), '--strip-components=1', '-C', installed], folder);
writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
writeFileSync(join(folder, 'consumer.ts'), consumer);

const platforms = {
  'ES2023 alone': { lib: ['es2023'], types: [] },
  browsers: { lib: ['es2023', 'dom'], types: [] },
  Node: { lib: ['es2023'], types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
};
for (const [platform, options] of Object.entries(platforms)) {
  const compilerOptions = { ...options, target: 'es2023', module: 'nodenext', strict: true, noEmit: true };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, exactOptionalPropertyTypes: true, skipLibCheck: false },
      files: ['consumer.ts'],
    }),
  );
  run('npx', ['-y', 'pnpm', 'exec', 'tsc', '-p', folder], root);
  console.log(`a consumer on ${platform}: every declaration of @reg/core checks`);
}
