/**
 * The command as a user has it: built from these sources, packed by npm, and installed from the tarball.
 *
 * Rules of this file: nothing is downloaded, and nothing is left outside of one folder for the tests of one file.
 */

import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Child } from './process.ts';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('..', import.meta.url));

export interface Installed {
  /** An absolute path of a folder that is nobody's home yet. */
  readonly home: string;
  /** Where the commands are. */
  readonly bin: string;
  /** The folder of the installed package. */
  readonly package: string;
  remove(): Promise<void>;
}

export async function installed(): Promise<Installed> {
  const root = await mkdtemp(join(tmpdir(), 'reg-installed-'));
  const source = join(root, 'source');
  const prefix = join(root, 'prefix');
  for (const part of ['package.json', 'README.md', 'schemas'])
    await cp(join(cli, part), join(source, part), { recursive: true });
  await run(resolve(cli, '../../node_modules/.bin/tsup'), ['--silent', '--out-dir', join(source, 'dist')], {
    cwd: cli,
  });
  const npm = (args: readonly string[]) =>
    run('npm', args, {
      cwd: source,
      env: {
        PATH: path,
        HOME: root,
        npm_config_offline: 'true',
        npm_config_audit: 'false',
        npm_config_fund: 'false',
        npm_config_update_notifier: 'false',
      },
    });
  const { stdout } = await npm(['pack', '--json']);
  const [{ filename }] = JSON.parse(stdout);
  await npm(['install', '--global', '--prefix', prefix, join(source, filename)]);
  return {
    home: join(root, 'home'),
    bin: join(prefix, 'bin'),
    package: join(prefix, 'lib/node_modules/@reg/cli'),
    remove: () => rm(root, { recursive: true }),
  };
}

/** Programs are found where this Node is first, so that `#!/usr/bin/env node` starts the one under test. */
export const path = [dirname(process.execPath), process.env['PATH']].join(delimiter);

/** Starts an installed command, or any other program. One that hangs is ended, and then has no exit code. */
export function startInstalled(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stdin?: string,
): Child {
  const child = spawn(program, args, {
    env: { PATH: path, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  // Not every command reads it.
  child.stdin.on('error', () => {}).end(stdin ?? '');
  return child;
}
