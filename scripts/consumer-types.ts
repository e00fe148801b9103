// A consumer installs a package from its tarball and has to type-check, strictly and with every declaration checked: with
// @reg/core in a runtime that has ES2023 and nothing else, and beside the names that the DOM or Node declares; with
// @reg/browser where fetch is the platform and Node is not. Needs a build.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, root, run } from './pack.ts';

const ofCore = `
import { describe, parseChallenges, start, step, type Failure } from '@reg/core';
import { createAuthorizer, type Send } from '@reg/core/driver';
import { toText } from '@reg/core/transcript';

declare const send: Send<{ status: number }>;
export const authorizer = createAuthorizer({ send });
export const words = (failure: Failure): string => describe(failure);
export const scheme: string | undefined = parseChallenges('Bearer realm="https://a.example/token"').challenges[0]?.scheme;
export const machine = { start, step, toText };
`;

const ofBrowser = `
import { createRegistryFetch, diagnoseCors, sessionTokenStore, staticKeychain, type CorsDiagnosis } from '@reg/browser';

const keychain = staticKeychain({ 'a.example': { type: 'password', username: 'u', password: 'p' } });
export const registryFetch: typeof fetch = createRegistryFetch({ keychain, store: sessionTokenStore(), fetch });
export const diagnosis: Promise<CorsDiagnosis> = diagnoseCors(new URL('https://a.example'), { fetch });
`;

const folder = mkdtempSync(join(tmpdir(), 'reg-consumer-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

for (const [name, path] of [
  ['@reg/core', 'packages/core'],
  ['@reg/browser', 'packages/browser'],
] as const) {
  const installed = join(folder, 'node_modules', name);
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', pack(path, folder), '--strip-components=1', '-C', installed], folder);
}
writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));

const es = ['es2023'];
const node = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] };
const consumers = [
  { name: '@reg/core', on: 'ES2023 alone', source: ofCore, options: { lib: es, types: [] } },
  { name: '@reg/core', on: 'browsers', source: ofCore, options: { lib: [...es, 'dom'], types: [] } },
  { name: '@reg/core', on: 'Node', source: ofCore, options: { lib: es, ...node } },
  { name: '@reg/browser', on: 'browsers', source: ofBrowser, options: { lib: [...es, 'dom'], types: [] } },
];
for (const { name, on, source, options } of consumers) {
  const compilerOptions = { ...options, target: 'es2023', module: 'nodenext', strict: true, noEmit: true };
  writeFileSync(join(folder, 'consumer.ts'), source);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, exactOptionalPropertyTypes: true, skipLibCheck: false },
      files: ['consumer.ts'],
    }),
  );
  run('npx', ['-y', 'pnpm', 'exec', 'tsc', '-p', folder], root);
  console.log(`a consumer on ${on}: every declaration of ${name} checks`);
}
