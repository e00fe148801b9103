/** `reg trace` and `reg token` at CNCF Distribution itself: passwords, tokens it verifies, TLS. */

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canary, createServerCertificate, startTokenServer } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { run } from './run.ts';

const password = canary('password');
const env = { REG_PASSWORD: password };
const hasCurl = spawnSync('curl', ['--version']).status === 0;

async function tokenServer() {
  const server = await startTokenServer({
    users: { alice: password, bob: password },
    repositories: {
      'team/app': { access: { alice: ['pull', 'push', 'delete'], bob: ['pull', 'push'] } },
      'team/base': { access: { alice: ['pull'] } },
    },
  });
  onTestFinished(() => server.close());
  return server;
}

describe.skipIf(isMissing('docker-registry', 'htpasswd'))('docker-registry', () => {
  test('with htpasswd: a push is begun and taken back; the script does the same but for that', async () => {
    const { host, answered } = await startDistribution({ htpasswd: { alice: password } });
    const args = ['trace', `${host}/team/app`, '--push', '-u', 'alice'];
    const { code, stdout, stderr } = await run(args, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/\n2 requests .* {3}result: authorized\n$/);
    const [first, second, third] = await answered();
    expect([first, second]).toEqual([
      'POST /v2/team/app/blobs/uploads/ 401',
      'POST /v2/team/app/blobs/uploads/ 202',
    ]);
    expect(third).toMatch(/^DELETE \/v2\/team\/app\/blobs\/uploads\/\S+ 204$/);

    if (!hasCurl) return;
    const script = (await run([...args, '-o', 'curl'], { env })).stdout;
    await answered();
    await promisify(execFile)('sh', ['-c', script], { env: { ...process.env, ...env } });
    expect(
      (await answered()).map((line) => line.split(' ')).map(([method, , status]) => `${method} ${status}`),
    ).toEqual(['POST 401', 'POST 202']);
  });

  test('with tokens: what may be pushed and not deleted is told', async () => {
    const tokens = await tokenServer();
    const { host } = await startDistribution({ token: tokens });
    const args = ['trace', `${host}/team/app`, '--push', '--trust-realm', new URL(tokens.url).origin];
    expect(await run([...args, '-u', 'alice'], { env })).toMatchObject({ code: 0, stderr: '' });
    const bob = await run([...args, '-u', 'bob'], { env });
    expect(bob.code).toBe(0);
    expect(bob.stdout).toMatch(/result: authorized\n$/);
    expect(bob.stderr).toMatch(
      /^warning: the upload that was begun could not be taken back: .* answered 401/,
    );
  });

  test('with tokens: reg token gives one that it takes, for what was granted', async () => {
    const tokens = await tokenServer();
    const { host, url } = await startDistribution({ token: tokens });
    const args = ['token', `${host}/team/app`, '-H', '--trust-realm', new URL(tokens.url).origin];
    const status = async (who: string, flags: readonly string[]): Promise<number> => {
      const { code, stdout } = await run([...args, '-u', who, ...flags], { env, printsSecret: true });
      expect(code).toBe(0);
      const [, authorization = ''] = stdout.trim().split(': ');
      const headers = { authorization };
      return (await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST', headers })).status;
    };
    expect(await status('alice', ['--push'])).toBe(202);
    expect(await status('alice', ['--mount', 'team/base'])).toBe(202);
    expect(await status('alice', [])).toBe(401);

    const inspect = ['token', `${host}/team/app`, '--inspect', '--push', '--mount', 'team/base'];
    const bob = await run([...inspect, '-u', 'bob', '--trust-realm', new URL(tokens.url).origin], { env });
    expect(bob.code).toBe(5);
    expect(bob.stdout).toContain('repository:team/app:pull,push  pull,push\n');
    expect(bob.stdout).toContain('repository:team/base:pull      nothing  → not granted: pull\n');
  });

  test('with TLS: a trace tells what that took', async () => {
    const certificate = createServerCertificate();
    const folder = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'ca.pem'), certificate.ca);
    const { url } = await startDistribution(null, certificate);
    const port = new URL(url).port;
    const args = ['trace', `https://localhost:${port}/v2/`, '--ca-file', join(folder, 'ca.pem')];
    const { code, stdout, stderr } = await run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /1 request {2}\d+ ms {2}\(dns \d+ · tcp \d+ · tls \d+ · server \d+\) {3}result: open\n$/,
    );
    const har = JSON.parse((await run([...args, '-o', 'har'])).stdout);
    const { dns, connect, ssl, wait } = har.log.entries[0].timings;
    expect([dns >= 0, connect >= ssl, ssl > 0, wait > 0]).toEqual([true, true, true, true]);
  });
});
