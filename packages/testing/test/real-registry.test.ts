/** The token server in front of CNCF Distribution itself: its tokens are what a real registry takes. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { canary, startTokenServer, type TokenServer } from '../src/index.ts';
import { isMissing, startDistribution } from './docker-registry.ts';
import { basic, parsed, send } from './wire.ts';

const password = canary('password');

describe.skipIf(isMissing('docker-registry'))('docker-registry with rootcertbundle', () => {
  test('challenges as ours does, takes our tokens for what they grant, and no others', async () => {
    const options = {
      users: { alice: password },
      repositories: { 'team/app': { access: { alice: ['pull', 'push'] } } },
    };
    const tokens = await startTokenServer(options);
    onTestFinished(() => tokens.close());
    const stranger = await startTokenServer(options);
    onTestFinished(() => stranger.close());
    const { url } = await startDistribution({ token: tokens });

    const challenged = await send(`${url}/v2/team/app/tags/list`);
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
      send(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST', headers });

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
