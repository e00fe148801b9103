/** `reg trace --replay`: a trace from a file that may be anybody's. Nothing is sent. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canary } from '@reg/testing';
import mermaid from 'mermaid';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Stop } from '../src/surroundings.ts';
import { traceFormats } from '../src/tree/names.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'reg-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

function fileWith(text: string | Uint8Array): string {
  const file = join(folder(), 'trace.json');
  writeFileSync(file, text);
  return file;
}

let requests = 0;
let count = (): number => 0;

/** A trace as `-o json` wrote it: challenge, token, tags. */
async function recorded(): Promise<string> {
  const password = canary('password');
  const registry = await registryFor({
    auth: 'bearer',
    users: { alice: password },
    repositories: { 'team/app': { tags: ['1'] } },
  });
  const args = [
    'trace',
    `${registry.host}/team/app`,
    '-u',
    'alice',
    '--trust-realm',
    registry.pair.realm,
    '-o',
    'json',
  ];
  const { code, stdout } = await run(args, { env: { REG_PASSWORD: password } });
  expect(code).toBe(0);
  requests = registry.count();
  count = () => registry.count();
  return stdout;
}

describe('a trace of a file', () => {
  test.each(traceFormats)(
    'is printed as %s, from the file and from stdin, and nothing is sent',
    async (format) => {
      const text = await recorded();
      const file = fileWith(text);
      const ran = await run(['trace', '--replay', file, '-o', format]);
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      const piped = await run(['trace', '--replay', '-', '-o', format], { stdin: text });
      expect(piped.stdout.replace('replay of -', `replay of ${file}`)).toBe(ran.stdout);
      expect(count()).toBe(requests);
    },
  );

  test('says when it was recorded, and as whom', async () => {
    const file = fileWith(await recorded());
    const { stdout } = await run(['trace', '--replay', file]);
    expect(stdout.split('\n')[0]).toMatch(
      /^replay of \S+, nothing was sent {2}\d{4}-\d\d-\d\dT[\d:.]+Z {3}credential: alice, from -u and REG_PASSWORD$/,
    );
    expect(stdout).toMatch(/3 requests {2}\d+ ms .* result: authorized\n$/);
  });

  test('that failed says why, and that is no failure of printing it', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { a: 'b' }, repositories: {} });
    const { code, stdout } = await run(['trace', `${host}/a`, '--anonymous', '-o', 'json']);
    expect(code).toBe(4);
    const again = await run(['trace', '--replay', fileWith(stdout)]);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(/result: credential-missing\n.*it wants a credential, and none was found/);
  });

  test('that was changed is printed, and where it does not fit is told', async () => {
    const value = JSON.parse(await recorded());
    value.steps[0].answer.head.status = 200;
    const ran = await run(['trace', '--replay', fileWith(JSON.stringify(value))]);
    expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('#1 → GET') });
    expect(ran.stderr).toMatch(
      /^reg: at steps\[0\] the trace says 'handshake obtaining', where this version comes to 'handshake answered'/,
    );
    expect(hintIn(ran)).toBe('reg trace --help');
  });
});

describe('what is no trace is refused, in a line that repeats nothing of it', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /it is not JSON/],
    ['half of one', '{"version":1,', /it is not JSON/],
    ['another document', '{"secret":"CANARY"}', /transcript\.version is not 1/],
    ['a list', '[]', /transcript is not an object/],
    ['bytes', Uint8Array.of(0, 255, 254, 13), /it is not JSON/],
    ['lists in lists', '['.repeat(2_000_000), /it is not JSON/],
    ['objects in objects', `${'{"version":'.repeat(500_000)}1${'}'.repeat(500_000)}`, /version is not 1/],
    ['17 MiB', ' '.repeat(17 * 1024 * 1024), /is longer than any trace/],
  ])('%s', async (_, text, words) => {
    const ran = await run(['trace', '--replay', fileWith(text)]);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(words) });
    expect(ran.stderr).not.toContain('CANARY');
    expect(hintIn(ran)).toBe('reg trace --help');
  });

  test('a step of no kind, and one the machines cannot take', async () => {
    const value = JSON.parse(await recorded());
    const odd = { ...value, steps: [{ machine: 'other' }] };
    expect((await run(['trace', '--replay', fileWith(JSON.stringify(odd))])).stderr).toMatch(
      /steps\[0\]\.\w+ is not/,
    );
    const wrong = { ...value, request: { ...value.request, url: 'nowhere' } };
    expect((await run(['trace', '--replay', fileWith(JSON.stringify(wrong))])).stderr).toMatch(
      /request does not fit/,
    );
  });

  test.each([
    ['no file', '/nonexistent/trace.json', /cannot be read \(ENOENT\)/],
    ['a folder', '/', /cannot be read \(EISDIR\)/],
    ['a file without end', '/dev/zero', /is longer than any trace/],
  ])('%s', async (_, file, words) => {
    expect(await run(['trace', '--replay', file])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(words),
    });
  });

  test('stdin that never ends can be stopped', async () => {
    const stop = new AbortController();
    const ran = run(['trace', '--replay', '-'], { stdin: 'silent', signal: stop.signal });
    setImmediate(() => stop.abort(new Stop(130)));
    expect(await ran).toEqual({ code: 130, stdout: '', stderr: '' });
  });

  test.each([
    [['ghcr.io/o/app', '--replay', 'x'], /asks nobody/],
    [['--replay', 'x', '--push'], /cannot be used with/],
    [[], /what is to be traced/],
  ])('%j', async (args, words) => {
    expect(await run(['trace', ...args])).toMatchObject({ code: 2, stderr: expect.stringMatching(words) });
  });
});

describe('a trace that somebody made up', () => {
  const evil = '\u001b]0;owned\u0007\u202e\r\n; end\n%%{init: {}}%%\n<script>`$(touch RAN)`\';"';

  async function madeUp(): Promise<string> {
    const value = JSON.parse(await recorded());
    const spoil = (one: unknown, key: string): unknown => {
      if (Array.isArray(one)) return one.map((part) => spoil(part, key));
      if (typeof one === 'object' && one !== null) {
        return Object.fromEntries(Object.entries(one).map(([name, part]) => [name, spoil(part, name)]));
      }
      const free = ['source', 'message', 'code', 'username', 'clientId', 'text', 'service', 'next'];
      return typeof one === 'string' && free.includes(key) ? evil + one : one;
    };
    const steps = value.steps.map((step: { effect?: { headers?: [string, string][] } }) => {
      step.effect?.headers?.push([evil, evil]);
      return spoil(step, '');
    });
    return JSON.stringify({ ...value, steps });
  }

  test.each(traceFormats)('cannot write to the terminal as %s', async (format) => {
    const { stdout, stderr } = await run(['trace', '--replay', fileWith(await madeUp()), '-o', format, '-v']);
    // It is told that it was changed.
    expect(stderr).toContain('at steps[0] the trace says');
    expect([...(stdout + stderr)].filter((char) => char !== '\n' && /[\p{Cc}\u202e]/u.test(char))).toEqual(
      [],
    );
    if (format === 'mermaid') expect(await mermaid.parse(stdout)).toMatchObject({ diagramType: 'sequence' });
    if (format === 'json') matchesSchema('trace', stdout);
  });

  test('of ten thousand steps is printed in a few seconds', { timeout: 60_000 }, async () => {
    const value = JSON.parse(await recorded());
    const [first] = value.steps;
    const file = fileWith(JSON.stringify({ ...value, steps: Array(10_000).fill(first) }));
    for (const format of traceFormats) {
      const began = performance.now();
      expect((await run(['trace', '--replay', file, '-o', format])).code).toBe(1);
      expect(performance.now() - began).toBeLessThan(10_000);
    }
  });
});

describe('--out', () => {
  test('writes what would have been printed, for its owner alone, and says so', async () => {
    const replay = fileWith(await recorded());
    const out = join(folder(), 'auth.har');
    const ran = await run(['trace', '--replay', replay, '-o', 'har', '--out', out]);
    expect(ran).toEqual({ code: 0, stdout: '', stderr: `reg: written to ${out}\n` });
    expect(readFileSync(out, 'utf8')).toBe((await run(['trace', '--replay', replay, '-o', 'har'])).stdout);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const piped = await run(['trace', '--replay', replay, '-o', 'har', '--out', '-']);
    expect(piped).toEqual({ code: 0, stdout: readFileSync(out, 'utf8'), stderr: '' });
    expect(await run(['trace', '--replay', replay, '--out', out, '-q'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });

  test('text has no colours and whole lines, and says why it failed', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { a: 'b' }, repositories: {} });
    const out = join(folder(), 'trace.txt');
    const ran = await run(['trace', `${host}/a`, '--anonymous', '--out', out], { terminal: 60 });
    expect(ran).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/it wants a\s+credential/),
    });
    const text = readFileSync(out, 'utf8');
    expect(text).not.toContain('\u001b');
    expect(text).toMatch(/result: credential-missing\n.*it wants a credential, and none was found.*\n$/);
  });

  test.each([
    ['into a folder that is not there', 'missing/auth.har', /ENOENT/],
    ['over a folder', '.', /is a folder/],
  ])('%s: nothing is sent, nothing is left', async (_, name, words) => {
    const { host, count } = await registryFor({ auth: 'none', repositories: { a: { tags: ['1'] } } });
    const where = folder();
    const ran = await run(['trace', `${host}/a`, '--out', join(where, name)]);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(words) });
    expect(count()).toBe(0);
    expect(readdirSync(where)).toEqual([]);
  });

  test('a trace that does not come about leaves what was there', async () => {
    const { host } = await registryFor({ auth: 'none', faults: [{ kind: 'stall', at: 'before-head' }] });
    const where = folder();
    const out = join(where, 'auth.har');
    writeFileSync(out, 'before');
    const stop = new AbortController();
    const ran = run(['trace', `${host}/a`, '--out', out], { signal: stop.signal });
    setImmediate(() => stop.abort(new Stop(130)));
    expect(await ran).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(readFileSync(out, 'utf8')).toBe('before');
    expect(readdirSync(where)).toEqual(['auth.har']);
  });
});
