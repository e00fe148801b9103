import { Readable } from 'node:stream';
import { canary } from '@reg/testing';
import { expect, onTestFinished, test } from 'vitest';
import { openClient, policyFor } from '../src/registry/client.ts';
import { registryFor } from './run.ts';

test('the credential of the command line is for the registry it names, and no other is sent it', async () => {
  const password = canary('password');
  const users = { alice: password };
  const named = await registryFor({ auth: 'basic', users });
  const other = await registryFor({ auth: 'basic', users: { alice: canary('another password') } });
  const output = { write: () => {} };
  const client = await openClient({
    registry: new URL(named.url),
    options: {},
    given: { username: 'alice', password, source: 'test' },
    surroundings: {
      stdout: output,
      stderr: output,
      stdin: Readable.from([]),
      env: {},
      signal: new AbortController().signal,
    },
    bodies: false,
  });
  onTestFinished(() => client.close());

  const ping = await client.get(new URL(`${named.url}/v2/`));
  await ping.raw.discard();
  expect(ping.head.status).toBe(200);
  await expect(client.get(new URL(`${other.url}/v2/`))).rejects.toMatchObject({
    failure: { kind: 'credential-missing' },
  });
  expect(other.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
});

test.each([
  [{}, { pairs: [], insecureHosts: [] }],
  [{ plainHttp: true }, { pairs: [], insecureHosts: ['r.example:5000'] }],
  [
    { trustRealm: ['https://auth.example', 'http://a.example:81'] },
    {
      pairs: [
        { registry: 'http://r.example:5000', realm: 'https://auth.example' },
        { registry: 'http://r.example:5000', realm: 'http://a.example:81' },
      ],
      insecureHosts: [],
    },
  ],
  [
    { trustRealm: ['http://a.example:81'], plainHttp: true },
    {
      pairs: [{ registry: 'http://r.example:5000', realm: 'http://a.example:81' }],
      insecureHosts: ['r.example:5000', 'a.example:81'],
    },
  ],
])('%j is a policy', (options, { pairs, insecureHosts }) => {
  expect(policyFor(new URL('http://r.example:5000/v2/'), options)).toEqual({
    realms: { pairs },
    insecureHosts,
  });
});
