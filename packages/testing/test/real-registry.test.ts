/** The token server in front of CNCF Distribution itself: its tokens are what a real registry takes. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { canary, startTokenServer, type TokenServer } from '../src/index.ts';
import { basic, parsed, send } from './wire.ts';

const missing = spawnSync('docker-registry', ['--version']).error !== undefined;
if (missing && process.env['CI'] === 'true') throw new Error('docker-registry is missing; CI=true wants it');
if (missing) console.log('skipped: docker-registry is not installed (apt-get install docker-registry)');

const password = canary('password');

/** Starts `docker-registry` with token authentication by `tokens`; resolves to its origin. */
async function startDistribution(tokens: TokenServer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'));
  const port = await freePort();
  await writeFile(join(folder, 'issuer.pem'), tokens.certificatePem);
  await writeFile(
    join(folder, 'config.yml'),
    JSON.stringify({
      version: '0.1',
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: `127.0.0.1:${port}` },
      auth: {
        token: {
          realm: tokens.url,
          service: tokens.service,
          issuer: tokens.issuer,
          rootcertbundle: join(folder, 'issuer.pem'),
        },
      },
    }),
  );
  const child: ChildProcess = spawn('docker-registry', ['serve', join(folder, 'config.yml')], {
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.kill()) await ended;
    await rm(folder, { recursive: true });
  });
  const origin = `http://127.0.0.1:${port}`;
  while (child.exitCode === null) {
    const answer = await send(`${origin}/v2/`).catch(() => null);
    if (answer !== null) return origin;
  }
  throw new Error(`docker-registry ended with ${child.exitCode}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe.skipIf(missing)('docker-registry with rootcertbundle', () => {
  test('challenges as ours does, takes our tokens for what they grant, and no others', async () => {
    const options = {
      users: { alice: password },
      repositories: { 'team/app': { access: { alice: ['pull', 'push'] } } },
    };
    const tokens = await startTokenServer(options);
    onTestFinished(() => tokens.close());
    const stranger = await startTokenServer(options);
    onTestFinished(() => stranger.close());
    const origin = await startDistribution(tokens);

    const challenged = await send(`${origin}/v2/team/app/tags/list`);
    expect([challenged.status, challenged.headers['www-authenticate']]).toEqual([
      401,
      `Bearer realm="${tokens.url}",service="${tokens.service}",scope="repository:team/app:pull"`,
    ]);

    const tokenFrom = async (server: TokenServer, scope: string) => {
      const answer = await send(`${server.url}?service=${server.service}&scope=${scope}`, {
        headers: basic('alice', password),
      });
      return { Authorization: `Bearer ${parsed<{ token: string }>(answer).token}` };
    };
    const upload = (headers: Record<string, string>) =>
      send(`${origin}/v2/team/app/blobs/uploads/`, { method: 'POST', headers });

    const push = await tokenFrom(tokens, 'repository:team/app:pull,push');
    expect((await upload(push)).status).toBe(202);
    const pull = await upload(await tokenFrom(tokens, 'repository:team/app:pull'));
    expect([pull.status, pull.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('error="insufficient_scope"'),
    ]);
    const foreign = await upload(await tokenFrom(stranger, 'repository:team/app:pull,push'));
    expect([foreign.status, foreign.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ]);
    expect(tokens.count({ method: 'GET' })).toBe(2);
  });
});
