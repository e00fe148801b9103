/**
 * `reg credential install`: a config names this command as the helper for a registry.
 *
 * Rules of this file: the change is shown before it is made, and made only when somebody says so; of the config nothing is shown
 * but `credHelpers`, since the rest is secrets; what was stored before stays where it is, and what becomes of it is said.
 */

import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { toVisible } from '@reg/core';
import { assignHelper, CredentialsError, listCredentials } from '../credentials/keep.ts';
import { keyedTarget } from '../credentials/name.ts';
import { ownFile, ownHelper } from '../credentials/own.ts';
import { placeFor, shownPlace } from '../credentials/place.ts';
import type { CommonOptions, FileOptions } from '../registry/options.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Paint, paintFor } from '../terminal/paint.ts';

export interface CredentialInstallOptions extends FileOptions, CommonOptions {
  readonly as: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `reg credential install` */
export async function installCredentialHelper(
  registry: string,
  options: CredentialInstallOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { env, stdout, stderr } = surroundings;
  const { as: name, dryRun = false, yes = false, quiet = false } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw usage('--as takes NAME alone, of the program docker-credential-NAME');
  }
  const target = keyedTarget(registry, {});
  const place = placeFor(options, env);
  const say = (text: string): void => {
    if (!quiet) stderr.write(`${text}\n`);
  };
  const assign = async (dryRun: boolean) => {
    try {
      return await assignHelper(target.registry, name, { ...place, dryRun });
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error;
      throw new Complaint(exitCode.credentials, error.message, {
        hint: `reg doctor ${quote(target.registry)} --offline`,
      });
    }
  };
  const { path, key, before, after } = await assign(true);
  if (before[key] === name) {
    say(`reg: docker-credential-${name} is named for ${target.registry} in ${shownPlace(path, env)} already`);
    return;
  }
  stdout.write(renderChange(shownPlace(path, env), before, after, paintFor(stdout, env, options.color)));
  for (const warning of await consequences(target.registry, name, { path, key, before }, surroundings)) {
    say(`warning: ${warning}`);
  }
  if (dryRun) return;
  if (!yes) {
    const { confirm } = await import('../terminal/prompt.ts');
    const hint = `reg credential install ${quote(target.registry)} --as ${quote(name)} --yes`;
    const agreed = await confirm('Make this change?', surroundings, {
      input: options.input,
      flag: '--yes',
      hint,
    });
    if (!agreed) {
      say('reg: nothing was changed');
      return;
    }
  }
  await assign(false);
  say(`${paintFor(stderr, env, options.color)('good', '✓')} ${shownPlace(path, env)} is written`);
}

/** What the change means for what is stored, and for who will be asked. */
async function consequences(
  registry: string,
  name: string,
  { path, key, before }: { readonly path: string; readonly key: string; readonly before: Helpers },
  { env, signal }: Surroundings,
): Promise<readonly string[]> {
  const replaced = before[key];
  const program = `docker-credential-${name}`;
  const warnings: string[] = [];
  if (!isOnPath(program, env)) {
    warnings.push(
      `${program} is in no folder of PATH: whoever asks for ${registry} will get an error until it is`,
    );
  }
  if (replaced) {
    warnings.push(
      `docker-credential-${replaced} is not asked any more; what it keeps for ${registry} stays there`,
    );
  }
  // What is in the files themselves: nothing is asked of any helper that they name.
  const loginIn = async (path: string, withoutHelpers: readonly string[]): Promise<string | null> => {
    const { credentials } = await listCredentials({ path, env, signal, withoutHelpers });
    const found = credentials.find((entry) => entry.registry === registry && entry.helper === null);
    if (found === undefined) return null;
    return found.username === null ? 'the login' : `the login of ${toVisible(found.username)}`;
  };
  const inline = await loginIn(path, Object.values(before));
  if (name !== ownHelper) {
    if (inline !== null)
      warnings.push(`${inline} in the file is not used any more: ${program} is asked in its place`);
    return warnings;
  }
  const own = ownFile(env);
  const kept = own === null ? null : await loginIn(own, []);
  if (own !== null && kept !== null) {
    warnings.push(`${program} answers with ${kept} that it keeps, in ${shownPlace(own, env)}`);
    if (inline !== null) warnings.push(`${inline} in the file stays, unencrypted, and is not used any more`);
  } else if (inline !== null) {
    warnings.push(
      `${inline} in the file stays, unencrypted, and ${program} answers with it until another is stored`,
    );
  }
  return warnings;
}

function isOnPath(program: string, env: Surroundings['env']): boolean {
  return (env['PATH'] ?? '').split(delimiter).some((folder) => {
    if (!isAbsolute(folder)) return false;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

type Helpers = Readonly<Record<string, string>>;

/** The lines of `credHelpers` that differ, with those around them. */
function renderChange(file: string, before: Helpers, after: Helpers, paint: Paint): string {
  const [old, new_] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < old.length && old[head] === new_[head]) head++;
  let tail = 0;
  while (tail < old.length - head && old.at(-1 - tail) === new_.at(-1 - tail)) tail++;
  const lines = [
    paint('name', `--- ${file}`),
    paint('name', `+++ ${file}`),
    ...old.slice(0, head).map((line) => ` ${line}`),
    ...old.slice(head, old.length - tail).map((line) => paint('bad', `-${line}`)),
    ...new_.slice(head, new_.length - tail).map((line) => paint('good', `+${line}`)),
    ...new_.slice(new_.length - tail).map((line) => ` ${line}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function linesOf(helpers: Helpers): readonly string[] {
  const empty = Object.keys(helpers).length === 0;
  return JSON.stringify(empty ? {} : { credHelpers: helpers }, null, 2)
    .replace('{}', '{\n}')
    .split('\n')
    .map(toVisible);
}
