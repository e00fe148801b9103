/** Which addresses a connection is made to. The resolver is a stand-in: no name that leads astray is at hand. */

import type { LookupAddress } from 'node:dns';
import { createServer } from 'node:http';
import { blockedAddressCode } from '@reg/core';
import { createAuthorizer } from '@reg/core/driver';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { send } from '../sockets.ts';

const resolver = vi.hoisted(() => ({ found: new Map<string, LookupAddress[]>(), asked: [] as string[] }));
vi.mock('node:dns/promises', () => ({
  lookup: async (host: string) => {
    resolver.asked.push(host);
    return resolver.found.get(host) ?? [{ address: host, family: 4 }];
  },
}));
beforeEach(() => {
  resolver.found.clear();
  resolver.asked.length = 0;
});

const loopback = { address: '127.0.0.1', family: 4 };

/** A registry whose token server is at `host` on this machine; it tells which hosts were asked for what. */
async function challengedFrom(host: string) {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    heard.push(`${request.headers.host} ${request.url}`);
    const { port } = new URL(`http://${request.headers.host}`);
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}:${port}/token"` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return { heard, url: `http://registry.test:${address.port}`, host: `registry.test:${address.port}` };
}

test.each([
  ['this machine', [loopback]],
  ['a cloud that tells its secrets', [{ address: '169.254.169.254', family: 4 }]],
  ['several, one of which is this machine', [{ address: '203.0.113.9', family: 4 }, loopback]],
  ['no address that anyone can read', [{ address: 'fe80::1%%', family: 6 }]],
])('a token server whose name stands for %s is not dialled', async (_, found) => {
  const { heard, url, host } = await challengedFrom('token.registry.test');
  resolver.found.set('registry.test', [loopback]).set('token.registry.test', found);
  const authorizer = createAuthorizer({ send, policy: { insecureHosts: [host] } });
  const asking = authorizer.request({
    method: 'GET',
    url: `${url}/v2/a/tags/list`,
    headers: [],
    body: 'none',
  });
  await expect(asking).rejects.toMatchObject({ failure: { kind: 'network', code: blockedAddressCode } });
  expect(heard).toEqual([`${host} /v2/a/tags/list`]);
});

test('a name is looked up once for a connection, and by nobody else', async () => {
  const { url } = await challengedFrom('nobody.test');
  resolver.found.set('registry.test', [loopback]);
  const authorizer = createAuthorizer({ send, policy: { insecureHosts: [new URL(url).host] } });
  const asking = authorizer.request({ method: 'GET', url: `${url}/v2/`, headers: [], body: 'none' });
  await expect(asking).rejects.toMatchObject({ code: expect.stringContaining('ERR_REG_') });
  expect(resolver.asked.filter((host) => host === 'registry.test')).toHaveLength(1);
});
