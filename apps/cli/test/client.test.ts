import { canary } from '@reg/testing';
import { expect, onTestFinished, test } from 'vitest';
import { openClient, policyFor } from '../src/registry/client.ts';
import { readConnection } from '../src/registry/connection.ts';
import { registryFor } from './run.ts';

test('the credential of the command line is for the registry it names, and no other is sent it', async () => {
  const password = canary('password');
  const users = { alice: password };
  const named = await registryFor({ auth: 'basic', users });
  const other = await registryFor({ auth: 'basic', users: { alice: canary('another password') } });
  const client = await openClient({
    registry: new URL(named.url),
    options: {},
    given: { username: 'alice', password, source: 'test' },
    surroundings: { stderr: { write: () => {} }, env: {}, signal: new AbortController().signal },
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

const https = 'https://auth.example';
const http = 'http://a.example:81';
const registry = 'http://r.example:5000';

test.each([
  [{}, { pairs: [], insecureHosts: [] }],
  [{ plainHttp: true }, { pairs: [], insecureHosts: ['r.example:5000'] }],
  [
    { trustRealm: [https, http] },
    {
      pairs: [
        { registry, realm: https },
        { registry, realm: http },
      ],
      insecureHosts: [],
    },
  ],
  [
    { trustRealm: [http], plainHttp: true },
    { pairs: [{ registry, realm: http }], insecureHosts: ['r.example:5000', 'a.example:81'] },
  ],
])('%j is a policy', async (options, { pairs, insecureHosts }) => {
  const url = new URL(`${registry}/v2/`);
  expect(policyFor(url, options, await readConnection(options), [])).toEqual({
    realms: { pairs },
    insecureHosts,
  });
});

test('what is known of trust, retries and time is in the policy', async () => {
  const options = { retries: '0', timeout: '45.5', trustRealm: [https] };
  const known = { registry: 'https://other.example', realm: 'https://sso.example' };
  const connection = await readConnection(options);
  expect(policyFor(new URL(`${registry}/v2/`), options, connection, [known])).toMatchObject({
    realms: { pairs: [known, { registry, realm: https }] },
    retry: { attempts: 1 },
    deadlineMs: 45_500,
  });
});
