/**
 * Every set-up of `doctor-cases.json`, for real: the doctor names its cause, and what it says to do mends it.
 *
 * With `REG_DOCTOR_CAPTURE=<file>` the run also writes down what the doctor and `skopeo` print, for `docs/doctor.md`.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { credentials } from './doctor-cases/credentials.ts';
import { grants } from './doctor-cases/grants.ts';
import { network } from './doctor-cases/network.ts';
import { realms } from './doctor-cases/realms.ts';
import type { Fix, Prepare } from './doctor-cases/set-up.ts';
import { type Stage, stage } from './doctor-cases/stage.ts';
import type { Ran } from './run.ts';

const setUps: Readonly<Record<string, Prepare>> = { ...credentials, ...grants, ...realms, ...network };

interface Case {
  readonly id: string;
  readonly title: string;
  /** Of `reg doctor`. */
  readonly arguments: readonly string[];
  readonly cause: string;
  readonly exitCode: number;
}

/** What is read of the doctor's JSON here; `doctor.test.ts` holds it against its schema. */
interface Diagnosis {
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly summary: string;
    readonly cause: string | null;
    readonly fix: Fix | null;
  }[];
}

const cases = JSON.parse(
  readFileSync(new URL('doctor-cases.json', import.meta.url), 'utf8'),
) as readonly Case[];

async function diagnose(
  on: Stage,
  args: readonly string[],
): Promise<{ code: number; problems: Diagnosis['checks'] }> {
  const { code, stdout, stderr } = await on.reg(['doctor', ...args, '-o', 'json']);
  if (stdout === '') throw new Error(`the doctor said nothing: ${stderr}`);
  const { checks } = JSON.parse(stdout) as Diagnosis;
  return { code, problems: checks.filter(({ status }) => status === 'problem') };
}

test('every case has a set-up, and every set-up is a case', () => {
  expect(cases.map(({ id }) => id).toSorted()).toEqual(Object.keys(setUps).toSorted());
});

const capture = process.env['REG_DOCTOR_CAPTURE'];
const captured: Record<string, object> = {};
const noSkopeo = capture !== undefined && isMissing('skopeo');

afterAll(() => {
  if (capture === undefined || Object.keys(captured).length === 0) return;
  const version = noSkopeo ? null : execFileSync('skopeo', ['--version'], { encoding: 'utf8' });
  const skopeo = version === null ? null : version.trim().replace(' version', '');
  writeFileSync(capture, JSON.stringify({ skopeo, cases: captured }));
});

/** What both print, as it stands in the documentation. */
async function printedBy(on: Stage, args: readonly string[], skopeo: readonly string[]): Promise<object> {
  const proxy = on.env['HTTPS_PROXY'];
  const line = (words: readonly string[]) =>
    on.documented([...(proxy === undefined ? [] : [`HTTPS_PROXY=${proxy}`]), ...words].join(' '));
  const printed = (words: readonly string[], { stdout, stderr, code }: Ran) => ({
    line: line(words),
    output: on.documented(stdout + stderr),
    code,
  });
  return {
    doctor: printed(['reg', 'doctor', ...args], await on.reg(['doctor', ...args])),
    skopeo: noSkopeo ? null : printed(['skopeo', ...skopeo.map(on.real)], await on.skopeo(skopeo)),
  };
}

describe.skipIf(isMissing('docker-registry', 'htpasswd'))('reg doctor names the cause and the cure', () => {
  test.each(cases)('$title', async ({ id, arguments: args, cause, exitCode }) => {
    const on = await stage();
    const { skopeo, follow } = await (setUps[id] ?? expect.unreachable())(on);
    const { code, problems } = await diagnose(on, args);
    expect(problems[0]).toMatchObject({ cause });
    expect(code).toBe(exitCode);
    const { fix } = problems[0] ?? expect.unreachable();
    if (capture !== undefined) captured[id] = await printedBy(on, args, skopeo);

    const again = await follow(fix ?? expect.unreachable());
    const after = await diagnose(on, again ?? args);
    expect(after.problems).toEqual([]);
    expect(after.code).toBe(0);
  });
});
