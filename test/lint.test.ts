// The architecture's rules are lint rules, and each is proved here: a file that breaks it makes the lint command fail
// by naming the rule, and a file that only comes close to it passes.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const trees = mkdtempSync(join(tmpdir(), 'reg-lint-'));
afterAll(() => rmSync(trees, { recursive: true }));

/** Runs the workspace's own lint command over a tree that holds its configuration and the given files. */
function lint(files: Record<string, string>): { status: number | null; output: string } {
  const tree = mkdtempSync(join(trees, 'tree-'));
  for (const part of ['biome.json', 'lint', '.gitignore'])
    cpSync(join(root, part), join(tree, part), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const { status, stdout, stderr } = spawnSync(scripts.lint, {
    cwd: tree,
    shell: true,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`,
      NO_COLOR: '1',
    },
  });
  return { status, output: stdout + stderr };
}

const machine = 'packages/core/src/machine.ts';
const driver = 'packages/core/src/driver/drive.ts';

const pure = (name: string) => `Machines are pure: ${name} is an input or the driver's.`;
const asynchronous = 'Machines are pure: an async function belongs in driver/.';
const waiting = 'Machines are pure: nothing is awaited or loaded on the way.';
const dice = 'Machines are pure: randomness is an input.';
const alone = 'The core depends on nothing: it imports its own files only.';
const noDriver = 'Machines never import the driver.';
const wireOnly = 'Only driver/wire.ts reveals a secret, just before sending it.';
const noIO = (name: string) =>
  `The driver does no I/O: ${name} is handed to it, as send or now, or is the adapter's.`;
const publicCore = 'An adapter imports @reg/core and its public subpaths only.';
const noNode = 'lint/correctness/noNodejsModules';
const noUndici = 'What @reg/node offers without undici does not reach it.';
const stranger = 'The registry that tests the clients shares no code with them.';
const light = 'The command imports @reg/core and the subpaths of @reg/node that carry no undici';
const lightDemo =
  'The demo imports @reg/core, the subpaths of @reg/node that carry no undici, and @reg/testing.';
const entries = 'Another package is imported by its public entry, and an app by nobody.';
const names = 'An index.ts lists its exports by name.';

const uses = (source: string, path = './message.ts') =>
  `import { it } from '${path}';\n\nexport const use = ${source};\n`;
const takes = (path: string) => uses('[it]', path);

describe('a file that breaks a rule fails the lint command, which names the rule', () => {
  test.each<[rule: string, path: string, text: string]>([
    [pure('Date'), machine, uses('Date.now() + it')],
    [pure('Promise'), machine, 'export type Later = Promise<string>;\n'],
    [pure('fetch'), machine, uses('fetch(it)')],
    [pure('console'), machine, uses('console.log(it)')],
    [pure('process'), machine, uses('process.env[it]')],
    [pure('setTimeout'), machine, uses('setTimeout(it, 1)')],
    [pure('queueMicrotask'), machine, uses('queueMicrotask(it)')],
    [pure('performance'), machine, uses('performance.now() + it')],
    [pure('crypto'), machine, uses('crypto.randomUUID() + it')],
    [pure('globalThis'), machine, uses("globalThis['Date'].now() + it")],
    [pure('Date'), 'packages/core/src/transcript/har.ts', uses('new Date(it)')],
    [asynchronous, machine, uses('async (): Promise<number> => it')],
    [asynchronous, machine, 'export async function* wait() {\n  yield 1;\n}\n'],
    [asynchronous, machine, 'export const use = {\n  async wait() {},\n};\n'],
    [asynchronous, machine, 'export class Use {\n  protected static async wait() {}\n}\n'],
    [waiting, machine, uses("import('./grant.ts').then(it)")],
    [waiting, machine, uses('async () => await it')],
    [dice, machine, uses('Math.random() + it')],
    [dice, machine, uses("Math['random']() + it")],
    [dice, machine, 'const { random } = Math;\n\nexport const use = random;\n'],
    [alone, machine, takes('node:crypto')],
    [alone, machine, takes('undici')],
    [alone, machine, "import type { Agent } from '@reg/node';\n\nexport type Use = Agent;\n"],
    [alone, driver, takes('node:timers')],
    [noDriver, machine, takes('./driver/drive.ts')],
    [noDriver, 'packages/core/src/transcript/json.ts', takes('../driver/index.ts')],
    [wireOnly, machine, "import { reveal } from './secret.ts';\n\nexport const use = reveal;\n"],
    [wireOnly, machine, "export { reveal as open } from './secret.ts';\n"],
    [wireOnly, machine, "import * as secret from './secret.ts';\n\nexport const use = secret;\n"],
    [wireOnly, driver, "import { reveal } from '../secret.ts';\n\nexport const use = reveal;\n"],
    [noIO('fetch'), driver, uses('fetch(it)')],
    [noIO('process'), driver, uses('process.env[it]')],
    [noIO('console'), driver, uses('console.log(it)')],
    [noIO('Date'), driver, uses('Date.now() + it')],
    [publicCore, 'packages/node/src/fetch.ts', takes('@reg/testing')],
    [publicCore, 'packages/node/src/fetch.ts', takes('@reg/core/driver/cache')],
    [entries, 'packages/node/src/fetch.ts', takes('../../core/src/grant.ts')],
    [entries, 'packages/node/src/fetch.ts', takes('../../../apps/cli/src/main.ts')],
    [publicCore, 'packages/node/src/fetch.ts', takes('@reg/cli')],
    [noUndici, 'packages/node/src/network/address.ts', takes('undici')],
    [noUndici, 'packages/node/src/credentials/docker.ts', takes('undici')],
    [noUndici, 'packages/node/src/stores/file.ts', takes('undici')],
    [noUndici, 'packages/node/src/files/lock.ts', takes('undici')],
    [noUndici, 'packages/node/src/network/proxy.ts', takes('../agent.ts')],
    [publicCore, 'packages/node/src/network/proxy.ts', takes('@reg/testing')],
    [publicCore, 'packages/browser/src/fetch.ts', takes('@reg/node')],
    [entries, 'packages/browser/src/cors/judge.ts', takes('../../../core/src/realm.ts')],
    [noNode, 'packages/browser/src/cors/probe.ts', takes('node:http')],
    [entries, 'packages/node/src/stores/file.ts', takes('../../../core/src/grant.ts')],
    [entries, 'packages/node/test/fetch.test.ts', takes('../../../packages/core/src/grant.ts')],
    [stranger, 'packages/testing/src/token.ts', takes('@reg/core')],
    [light, 'apps/cli/src/main.ts', takes('@reg/node')],
    [light, 'apps/cli/src/main.ts', takes('undici')],
    [light, 'apps/cli/src/main.ts', takes('@reg/testing')],
    [light, 'apps/cli/src/demo.ts', takes('@reg/testing')],
    [lightDemo, 'apps/cli/src/commands/demo.ts', takes('@reg/node')],
    [names, 'packages/core/src/index.ts', "export * from './grant.ts';\n"],
    [names, 'packages/core/src/index.ts', "export type * from './grant.ts';\n"],
    [names, 'packages/core/src/driver/index.ts', "export * as cache from './cache.ts';\n"],
    [names, 'packages/node/src/index.ts', 'export default 1;\n'],
    ['any', 'packages/node/src/fetch.ts', 'export const use = (it: any) => it;\n'],
    ['non-null assertion', 'packages/node/src/fetch.ts', 'export const use = (it?: string) => it!;\n'],
    ['Formatter', 'packages/node/src/fetch.ts', 'export const use = "it"\n'],
  ])('%s — %s', (rule, path, text) => {
    const { status, output } = lint({ [path]: text });
    expect(output).toContain(path);
    expect(output).toContain(rule);
    expect(status).toBe(1);
  });
});

test('what only comes close to a rule passes', () => {
  const { status, output } = lint({
    [machine]: [
      "import { conceal } from './secret.ts';",
      '',
      '// An async function, a Promise, the Date: words in a comment.',
      'export const asyncDate = { Date: Math.floor(1), fetch: conceal };',
      '',
    ].join('\n'),
    [driver]: "import { step } from '../handshake.ts';\n\nexport const drive = async () => await step();\n",
    'packages/core/src/driver/wire.ts':
      "import { reveal } from '../secret.ts';\n\nexport const use = reveal;\n",
    'packages/core/test/secret.test.ts':
      "import { reveal } from '../src/secret.ts';\n\nexport const use = reveal;\n",
    'packages/core/src/index.ts': "export { type Grant, grantKey } from './grant.ts';\n",
    'packages/node/src/fetch.ts': takes('@reg/core/driver'),
    'packages/node/src/interceptor.ts': takes('undici'),
    'packages/node/src/credentials/save.ts': takes('../files/lock.ts'),
    'packages/node/src/network/trust.ts': takes('@reg/core'),
    'packages/node/test/fetch.test.ts': takes('@reg/testing'),
    'packages/browser/src/send.ts': takes('@reg/core/driver'),
    'packages/testing/src/token.ts': takes('node:http'),
    'apps/cli/src/main.ts': takes('@reg/node/credentials'),
    'apps/cli/src/commands/demo.ts': takes('@reg/testing'),
  });
  expect(output).toContain('No fixes applied');
  expect(status).toBe(0);
});
