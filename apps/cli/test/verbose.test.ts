import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TranscriptStep } from '@reg/core/transcript';
import { allow, canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Paint } from '../src/terminal/paint.ts';
import { renderStep } from '../src/terminal/verbose.ts';
import { registryFor, run } from './run.ts';

const password = canary('password');
const users = { alice: password };
const repositories = { a: { tags: ['1'], access: { alice: ['pull'] } } };

async function bearer() {
  const registry = await registryFor({ auth: 'bearer', users, repositories });
  for (const url of [registry.url, registry.tokenUrl]) allow(password, url);
  const args = [
    'tags',
    `${registry.host}/a`,
    '-u',
    'alice',
    '--trust-realm',
    registry.pair.realm,
    '--no-cache',
  ];
  return {
    ...registry,
    tags: (...more: readonly string[]) => run([...args, ...more], { env: { REG_PASSWORD: password } }),
  };
}

/** Without what differs from run to run. */
const steady = (text: string): string => text.replaceAll(/:\d{4,5}/g, ':PORT').replaceAll(/\d+ ms/g, 'N ms');

describe('-v', () => {
  test('tells each request on stderr as it happens, and stdout stays data', async () => {
    const { tags } = await bearer();
    const { code, stdout, stderr } = await tags('-v');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '1\n' });
    expect(steady(stderr).split('\n')).toEqual([
      '→ GET http://127.0.0.1:PORT/v2/a/tags/list  (no credential)',
      '← 401 Unauthorized, N ms',
      '· credential for http://127.0.0.1:PORT: password, from -u and REG_PASSWORD',
      expect.stringMatching(/^→ GET http:..127.0.0.1:PORT.token\?.*account=alice {2}\(Basic alice\)$/),
      '← 200 OK, N ms',
      '→ GET http://127.0.0.1:PORT/v2/a/tags/list  (Bearer)',
      '← 200 OK, N ms',
      '',
    ]);
  });

  test('twice shows headers, and no secret in them', async () => {
    const { tags, faults } = await bearer();
    faults.add({
      kind: 'challenge',
      values: ['Bearer realm="x\u00a0y"', 'Basic realm="a\u0085b"'],
      times: 1,
    });
    const { stderr } = await tags('-vv');
    expect(stderr).toContain('\n  www-authenticate: Bearer realm=');
    expect(stderr).toContain('\n  docker-distribution-api-version: registry/2.0\n');
    expect(stderr).not.toContain('redacted');
    expect(stderr).not.toMatch(/[\u0080-\u009f]/);
  });

  test('with -q there is nothing to tell', async () => {
    const { tags } = await bearer();
    expect(await tags('-vv', '-q')).toEqual({ code: 0, stdout: '1\n', stderr: '' });
  });

  test.each([
    ['login', ['login', '-u', 'alice', '--password-stdin', '--store', 'file']],
    ['doctor', ['doctor', '-u', 'alice', '--password-stdin']],
    ['api', ['api', '-u', 'alice', '--password-stdin', '/v2/', '-R']],
  ])('works for %s too', async (_, args) => {
    const { host, pair } = await bearer();
    const home = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const { stderr } = await run([...args, host, '--trust-realm', pair.realm, '-v'], {
      stdin: password,
      env: { HOME: home },
    });
    expect(stderr).toContain(`→ GET http://${host}/v2/  (no credential)\n← 401 Unauthorized`);
  });

  test('where nobody answers, that is told too, before the complaint', async () => {
    const { host, close } = await registryFor({ auth: 'none' });
    await close();
    const { code, stderr } = await run(['tags', `${host}/a`, '-v', '--retries', '0']);
    expect(code).toBe(6);
    const [sent, failed, ...rest] = stderr.split('\n');
    expect(sent).toBe(`→ GET http://${host}/v2/a/tags/list  (no credential)`);
    expect(failed).toMatch(/^← no response \(connect, ECONNREFUSED: .*\), \d+ ms$/);
    expect(rest.at(0)).toMatch(/^reg: /);
  });
});

describe('a step', () => {
  const plain: Paint = (_, text) => text;

  test('in which nothing goes in or out is not told', () => {
    const step: TranscriptStep = {
      machine: 'exchange',
      exchange: 1,
      phase: 'begin',
      at: 0,
      need: {
        registry: 'https://r',
        scheme: 'bearer',
        realm: 'https://a/token',
        service: null,
        scopes: [],
        challenged: [],
        repository: null,
        anonymous: false,
      },
      credential: null,
      clientId: 'x',
      principal: 1,
      next: 'getting',
    };
    expect(renderStep(step, true, plain)).toEqual([]);
  });

  test('that waits says how long', () => {
    const step = {
      machine: 'seam',
      phase: 'retry',
      at: 0,
      url: 'https://a/',
      status: 503,
      waitMs: 250,
    } as const;
    expect(renderStep(step, false, plain)).toEqual(['· once more in 250 ms']);
  });

  test('that found nobody says so', () => {
    const step = { machine: 'seam', phase: 'credential', at: 0, registry: 'https://r', found: null } as const;
    expect(renderStep(step, false, plain)).toEqual(['· credential for https://r: none']);
  });

  test('with a form shows it with headers only, without its secrets', () => {
    const step: TranscriptStep = {
      machine: 'exchange',
      exchange: 1,
      phase: 'posting',
      at: 0,
      effect: {
        type: 'send',
        to: 'authority',
        method: 'POST',
        url: 'https://a/token',
        headers: [['x\u001b[2J', 'redacted-0, redacted-12 b']],
        authorization: null,
        body: 'form',
        form: [
          ['grant_type', 'refresh_token'],
          ['refresh_token', 'redacted-1'],
        ],
      },
      answer: { type: 'no-response', at: 5, phase: 'connect', code: 'X', message: 'a\nb' },
      next: 'failed',
    };
    expect(renderStep(step, true, plain)).toEqual([
      '→ POST https://a/token  (no credential)',
      '  x\\u{1b}[2J: •••, ••• b',
      '  grant_type=refresh_token',
      '  refresh_token=•••',
      '← no response (connect, X: a\\nb), 5 ms',
    ]);
    expect(renderStep(step, false, plain)).toHaveLength(2);
  });
});
