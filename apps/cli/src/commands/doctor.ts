/**
 * `reg doctor`: why a registry cannot be used, and what to do about it.
 *
 * Rules of this file: parse, look, render, write. What is found is a result, not an error: the exit code says whether it is good.
 */

import { toVisible } from '@reg/core';
import { checksFor, optionFor } from '../doctor/checks.ts';
import { type CheckId, checkIds, diagnosisOf } from '../doctor/finding.ts';
import { renderJson, renderText } from '../doctor/render.ts';
import { runChecks, withNeeds } from '../doctor/run.ts';
import { Scene } from '../doctor/scene.ts';
import { againFor, anyTarget } from '../registry/argument.ts';
import { givenCredential } from '../registry/given.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { originIn } from '../registry/values.ts';
import { usage } from '../report/complaint.ts';
import { type ExitCode, exitCode } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import { progressFor } from '../terminal/progress.ts';

export interface DoctorOptions extends NetworkOptions {
  readonly offline?: boolean;
  readonly push?: boolean;
  readonly browser?: string;
  readonly only?: readonly string[];
  readonly output: 'text' | 'json';
}

/** `reg doctor` */
export async function doctor(
  about: string,
  options: DoctorOptions,
  surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  const target = anyTarget(about, options);
  const only = (options.only ?? []).map(readCheck);
  const browser = options.browser === undefined ? undefined : readPage(options.browser);
  const push = options.push === true || only.includes('upload.location');
  const { offline = false, output, color } = options;
  const available = checksFor({ offline, push, page: browser !== undefined });
  const again = againFor('doctor', target, options);
  for (const id of only) {
    if (available.some((check) => check.id === id)) continue;
    const option = optionFor(id);
    const words = [again.command, '--only', id, ...(option === null ? [] : [option])];
    throw usage(`${id} takes ${option ?? 'no --offline'}`, words.join(' '));
  }
  const wanted = only.length === 0 ? null : withNeeds(available, only);
  const checks = available.filter(({ id }) => wanted?.has(id) !== false);

  const given = await givenCredential(options, surroundings, again.command);
  const scene = new Scene({
    target,
    options: { ...options, push, ...(browser === undefined ? {} : { browser }) },
    given,
    surroundings,
  });
  const { stdout, stderr, env } = surroundings;
  const { quiet = false, verbose = 0 } = options;
  if (target.short !== null && !quiet) stderr.write(`reg: ${target.short} is short for ${target.shown}\n`);
  const progress = progressFor(surroundings, options).start(`looking at ${scene.about.name}`);
  const findings = await runChecks(checks, scene).finally(() => {
    progress.end();
    scene.close();
  });
  const { shown, registry, repository } = scene.about;
  const diagnosis = diagnosisOf({ about: shown, registry: registry.origin, repository }, findings);
  const page = {
    evidence: verbose > 0 ? ('all' as const) : ('of faults' as const),
    paint: paintFor(stdout, env, color),
    width: widthOf(stdout),
    again: scene.about.commands.doctor + asWhom(options),
  };
  stdout.write(output === 'json' ? renderJson(diagnosis) : renderText(diagnosis, page));
  return diagnosis.exitCode === exitCode.ok ? undefined : diagnosis.exitCode;
}

/** As whom, as it was given: other commands of the doctor's are for any user. */
function asWhom({ username, passwordStdin = false, passwordFile, anonymous = false }: DoctorOptions): string {
  if (anonymous) return ' --anonymous';
  if (username === undefined) return '';
  const file = passwordFile === undefined ? [] : ['--password-file', passwordFile];
  const words = ['-u', username, ...(passwordStdin ? ['--password-stdin'] : file)];
  return ` ${words.map((word) => quote(toVisible(word))).join(' ')}`;
}

function readCheck(text: string): CheckId {
  const known = checkIds.find((id) => id === text);
  if (known !== undefined) return known;
  const near = checkIds.filter((id) => id.split('.').some((part) => text.includes(part)));
  const others = near.length > 0 ? near : checkIds;
  throw usage(
    `there is no check '${text.slice(0, 64)}': ${near.length > 0 ? 'is it' : 'there are'} ${others.join(', ')}`,
    'reg doctor --help',
  );
}

/** The origin of a page. */
function readPage(text: string): string {
  const origin = originIn(text);
  if (origin !== null) return origin;
  throw usage('--browser takes the origin of a page, as in https://app.example');
}
