// A consumer in a runtime that has ES2023 and nothing else: no DOM, no Node types, and every declaration checked.
// It installs the core from its tarball and has to type-check, strictly. Needs a build.

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
writeFileSync(
  join(folder, 'tsconfig.json'),
  JSON.stringify({
    compilerOptions: {
      lib: ['es2023'],
      types: [],
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    },
    files: ['consumer.ts'],
  }),
);
run('npx', ['-y', 'pnpm', 'exec', 'tsc', '-p', folder], root);
console.log('a consumer with lib ES2023 and no types: every declaration of @reg/core checks');
