/** The connections that the interceptor costs, counted at the servers' sockets. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Client, Pool, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { registryAuth } from '../src/index.ts';
import { agent, aliceAt, closing, listening, turn, until } from './stage.ts';
import { failOnUncaught } from './uncaught.ts';

failOnUncaught();

/** A server that knows the sockets of its requests, in order. */
async function counting(answer: (incoming: IncomingMessage, response: ServerResponse) => void) {
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    sockets.add(incoming.socket);
    asked.push(incoming.url ?? '');
    answer(incoming, response);
  });
  return { url: await listening(server), sockets, asked };
}

/** A registry with a token server, which gives a token for each scope, and fails as often as `failing` says. */
async function pair({ failing = 0 } = {}) {
  let failures = failing;
  const authority = await counting((incoming, response) => {
    if (failures > 0) {
      failures -= 1;
      response.writeHead(503).end('later');
      return;
    }
    const scope = new URL(incoming.url ?? '', 'http://localhost').searchParams.get('scope');
    response.end(JSON.stringify({ token: Buffer.from(scope ?? '').toString('hex') }));
  });
  const registry = await counting((incoming, response) => {
    const repository = incoming.url?.split('/')[2] ?? '';
    const scope = `repository:${repository}:pull`;
    if (incoming.headers.authorization !== `Bearer ${Buffer.from(scope).toString('hex')}`) {
      const challenge = `Bearer realm="${authority.url}/token",service="s",scope="${scope}"`;
      response.writeHead(401, { 'WWW-Authenticate': challenge });
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'x'.repeat(1_000) }] }));
      return;
    }
    response.end(repository);
  });
  const policy = {
    realms: { pairs: [{ registry: registry.url, realm: authority.url }] },
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
  };
  return { registry, authority, auth: { keychain: aliceAt(registry.url), policy } };
}

describe('keep-alive', () => {
  test('twenty repositories one after another: one connection to the registry, one to its token server', async () => {
    const { registry, authority, auth } = await pair();
    const dispatcher = agent().compose(registryAuth(auth));
    for (let i = 0; i < 40; i++) {
      const repository = `app${i % 20}`;
      const { body } = await request(`${registry.url}/v2/${repository}/tags/list`, { dispatcher });
      expect(await body.text()).toBe(repository);
      // undici lends a connection again a turn after its response has ended; until then it opens another.
      await turn();
    }
    expect([registry.asked.length, authority.asked.length]).toEqual([41, 20]);
    expect([registry.sockets.size, authority.sockets.size]).toEqual([1, 1]);
  });

  test('a token that is asked for three times is asked for on one connection', async () => {
    const { registry, authority, auth } = await pair({ failing: 2 });
    const dispatcher = agent().compose(registryAuth(auth));
    expect((await request(`${registry.url}/v2/app/tags/list`, { dispatcher })).statusCode).toBe(200);
    expect([authority.asked.length, authority.sockets.size]).toEqual([3, 1]);
    expect([registry.asked.length, registry.sockets.size]).toEqual([2, 1]);
  });

  test('a Pool of two connections has two, its token server one', async () => {
    const { registry, authority, auth } = await pair();
    const pool = closing(new Pool(registry.url, { connections: 2 })).compose(registryAuth(auth));
    const ask = async (i: number) =>
      (await pool.request({ path: `/v2/app${i % 3}/tags/list`, method: 'GET' })).body.text();
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)));
      expect(answers).toEqual(Array.from({ length: 30 }, (_, i) => `app${i % 3}`));
    }
    expect([registry.asked.length, authority.asked.length]).toEqual([91, 3]);
    expect(registry.sockets.size).toBe(2);
    expect(authority.sockets.size).toBeLessThanOrEqual(3);
  });
});

describe('pipelining', () => {
  test('ten warm requests are on one connection before the first is answered, and each gets its own answer', async () => {
    const waiting: (() => void)[] = [];
    let hold = false;
    const server = await counting((incoming, response) => {
      const answer = (): void => void response.end(incoming.url);
      if (incoming.headers.authorization === undefined)
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      else if (hold) waiting.push(answer);
      else answer();
    });
    const client = closing(new Client(server.url, { pipelining: 10 }));
    const dispatcher = client.compose(registryAuth({ keychain: aliceAt(server.url) }));
    // A request that may block is alone on its connection until its head has come: undici's default.
    const ask = async (path: string) =>
      (await dispatcher.request({ path, method: 'GET', blocking: false })).body.text();
    expect(await ask('/v2/')).toBe('/v2/');
    hold = true;
    const paths = Array.from({ length: 10 }, (_, i) => `/v2/app${i}/tags/list`);
    const answers = Promise.all(paths.map(ask));
    await until(() => waiting.length === 10);
    for (const answer of waiting.reverse()) answer();
    expect(await answers).toEqual(paths);
    expect(server.sockets.size).toBe(1);
  });

  test('ten cold ones: a challenge among them holds up none, and costs no connection', async () => {
    const { registry, authority, auth } = await pair();
    const client = closing(new Client(registry.url, { pipelining: 10 }));
    const dispatcher = client.compose(registryAuth(auth));
    const paths = Array.from({ length: 10 }, (_, i) => `/v2/app${i}/tags/list`);
    const answers = await Promise.all(
      paths.map(async (path) =>
        (await dispatcher.request({ path, method: 'GET', blocking: false })).body.text(),
      ),
    );
    expect(answers).toEqual(paths.map((path) => path.split('/')[2]));
    expect([registry.asked.length, authority.asked.length]).toEqual([11, 10]);
    expect(registry.sockets.size).toBe(1);
  });

  test('a reader that waits holds up those behind it, and loses nothing', async () => {
    const large = Buffer.alloc(4 * 1_048_576, 'x');
    const server = await counting((incoming, response) => {
      if (incoming.headers.authorization === undefined)
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      else response.end(incoming.url === '/v2/large' ? large : 'small');
    });
    const client = closing(new Client(server.url, { pipelining: 4 }));
    const dispatcher = client.compose(registryAuth({ keychain: aliceAt(server.url) }));
    const get = (path: string) => dispatcher.request({ path, method: 'GET', blocking: false });
    const first = await get('/v2/large');
    const second = get('/v2/small');
    const third = get('/v2/large');
    await until(() => server.asked.length === 4);
    expect((await first.body.bytes()).length).toBe(large.length);
    expect(await (await second).body.text()).toBe('small');
    expect((await (await third).body.bytes()).length).toBe(large.length);
    expect(server.sockets.size).toBe(1);
  });
});
