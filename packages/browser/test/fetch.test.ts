/** createRegistryFetch, on Node's own fetch: what fetch's users expect of it, and what reaches the wire. */

import { inspect } from 'node:util';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { failureOf, isRegistryAuthError, type RegistryAuthError } from '@reg/core';
import { digestOf } from '@reg/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';
import { aliceAt, errorOf, serve, stage, TAGS, until } from './stage.ts';

const layer = digestOf(Buffer.from('app content'));
const BLOB = `/v2/team/app/blobs/${layer}`;
const ALWAYS = Number.POSITIVE_INFINITY;

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A registry and alice's fetch. */
async function fetching(options: Parameters<typeof stage>[0] = {}) {
  const { registry, auth, password } = await stage(options);
  return { registry, password, auth, fetch: createRegistryFetch(auth) };
}

/** The failure of a call that rejects. */
async function failureIn(attempt: Promise<unknown>): Promise<RegistryAuthError['failure']> {
  const error = await errorOf(attempt);
  if (!isRegistryAuthError(error)) throw error;
  return error.failure;
}

describe('input', () => {
  test('is text, a URL or a Request, with what stands beside it', async () => {
    const { registry, fetch } = await fetching();
    const url = registry.url + TAGS;
    for (const input of [url, new URL(url), new Request(url, { method: 'HEAD', headers: { 'x-a': 'b' } })]) {
      expect((await fetch(input)).status).toBe(200);
    }
    expect(registry.requests.at(-1)).toMatchObject({ method: 'HEAD', headers: { 'x-a': 'b' } });
    await fetch(new Request(url, { headers: { 'x-a': 'b' } }), { method: 'HEAD', headers: { 'x-c': 'd' } });
    expect(registry.requests.at(-1)).toMatchObject({ method: 'HEAD', headers: { 'x-c': 'd' } });
    expect(registry.requests.at(-1)?.headers['x-a']).toBe(undefined);
    await fetch(url, new Request('https://elsewhere.example', { method: 'HEAD' }));
    expect(registry.requests.at(-1)?.method).toBe('HEAD');
    await fetch(url, Object.freeze({ method: 'HEAD' }));
    expect(registry.requests.at(-1)?.method).toBe('HEAD');
  });

  test('that fetch refuses is refused alike, and nothing is sent', async () => {
    const { registry, fetch } = await fetching();
    const url = registry.url + TAGS;
    const wrong: readonly Parameters<typeof globalThis.fetch>[] = [
      ['not a url'],
      [url, { method: 'CONNECT' }],
      [url, { method: 'GET', body: 'x' }],
      [url, { headers: { 'a b': 'c' } }],
      [url, JSON.parse('{ "redirect": "maybe" }')],
      [url, JSON.parse('{ "signal": {} }')],
      [url, JSON.parse('5')],
    ];
    for (const args of wrong) {
      expect(await errorOf(globalThis.fetch(...args)), inspect(args)).toBeInstanceOf(TypeError);
      expect(await errorOf(fetch(...args)), inspect(args)).toBeInstanceOf(TypeError);
    }
    expect(registry.count()).toBe(0);
  });

  test('with a user name or password is refused, and not shown', async () => {
    const fetch = createRegistryFetch();
    for (const input of [
      'https://alice:sesame@registry.example/v2/',
      'https://alice:sesame@[x/',
      'https://sesame@h/',
    ]) {
      const error = await errorOf(fetch(input));
      expect(error).toBeInstanceOf(TypeError);
      expect(inspect(error)).not.toContain('sesame');
    }
    // Deno, Bun and workerd let a Request have them.
    class Lenient extends Request {
      override get url(): string {
        return 'https://alice:sesame@registry.example/v2/';
      }
    }
    vi.stubGlobal('Request', Lenient);
    const error = await errorOf(fetch('https://registry.example/v2/'));
    expect(String(error)).toBe(
      'TypeError: [@reg/browser] the URL of a request holds a user name or password: give it to a keychain',
    );
  });

  test('no-cors, integrity and a way for one request are refused, with the reason', async () => {
    const { registry, fetch } = await fetching();
    const url = registry.url + TAGS;
    await expect(fetch(url, { mode: 'no-cors' })).rejects.toThrow(
      /^\[@reg\/browser\] a challenge cannot be read/,
    );
    await expect(fetch(url, { integrity: 'sha256-AAAA' })).rejects.toThrow(/integrity is not checked/);
    // What the platform's own `Request` does not know is read from what was given.
    class Ignorant extends Request {
      override get integrity(): string {
        return '';
      }
      override get mode(): RequestMode {
        return 'cors';
      }
    }
    vi.stubGlobal('Request', Ignorant);
    await expect(fetch(url, { mode: 'no-cors' })).rejects.toThrow(/a challenge cannot be read/);
    await expect(fetch(url, { integrity: 'sha256-AAAA' })).rejects.toThrow(/integrity is not checked/);
    vi.unstubAllGlobals();
    for (const route of ['dispatcher', 'client', 'proxy', 'unix', 'tls']) {
      await expect(fetch(url, { [route]: {} })).rejects.toThrow(/one request has none of its own/);
    }
    expect(registry.count()).toBe(0);
  });

  test.each([false, true])(
    'of what a page cannot set a browser’s own is left to it; in one: %s',
    async (inBrowser) => {
      if (inBrowser) vi.stubGlobal('importScripts', () => {});
      const browsers = {
        'sec-ch-ua': '"Chromium"',
        'proxy-a': 'b',
        origin: 'null',
        referer: 'https://a.example/',
      };
      const callers = { accept: 'a/b', 'x-api-key': 'c', 'user-agent': 'of the page' };
      const sent: string[][] = [];
      const fetch = createRegistryFetch({
        fetch: async (_, init) => {
          sent.push([...new Headers(init?.headers).keys()]);
          return new Response('{}');
        },
      });
      const url = 'https://registry.example/v2/';
      await fetch(new Request(url, { headers: { ...callers, ...browsers } }));
      await fetch(new Request(url, { headers: { 'user-agent': navigator.userAgent } }));
      const names = Object.keys({ ...callers, ...(inBrowser ? {} : browsers) });
      expect(sent).toEqual([names.sort(), inBrowser ? [] : ['user-agent']]);
    },
  );

  test('a fragment is seen by nobody: a token may be in it', async () => {
    const { registry, auth } = await stage();
    const steps: unknown[] = [];
    const fetch = createRegistryFetch({ ...auth, onStep: (step) => steps.push(step) });
    const ok = await fetch(`${registry.url}${TAGS}#access_token=sesame`);
    expect(ok.url).toBe(registry.url + TAGS);
    await fetch(new Request(`${registry.url}/v2/team/none/tags/list#access_token=sesame`));
    registry.faults.add({ kind: 'reset', at: 'before-head', times: ALWAYS });
    const error = await errorOf(fetch(`${registry.url}${TAGS}#access_token=sesame`));
    const unread = await errorOf(fetch('https://[x/#access_token=sesame'));
    const seen = inspect(
      [steps, registry.requests, error, unread, isRegistryAuthError(error) && error.transcript],
      {
        depth: 12,
      },
    );
    expect(seen).toContain(TAGS);
    expect(seen).not.toContain('sesame');
  });

  test('what fetch may be told, the platform is told, as far as it is the registry’s', async () => {
    const { registry, auth } = await stage();
    const sent: [string, RequestInit | undefined][] = [];
    const fetch = createRegistryFetch({
      ...auth,
      fetch: (input, init) => {
        sent.push([String(input), init]);
        return globalThis.fetch(input, init);
      },
    });
    const wanted = { cache: 'no-cache', keepalive: true, mode: 'same-origin', priority: 'high' } as const;
    await fetch(registry.url + TAGS, { ...wanted, credentials: 'include', referrer: 'about:client' });
    expect(sent).toHaveLength(3);
    for (const [url, init] of sent) {
      const toToken = url.startsWith(registry.tokenUrl);
      expect(init).toMatchObject({ credentials: 'omit', referrerPolicy: 'no-referrer', redirect: 'manual' });
      expect(init).toMatchObject(toToken ? { cache: 'no-store' } : wanted);
      if (toToken) expect(Object.keys(init ?? {})).not.toContain('mode');
      expect(init?.headers).toContainEqual(['user-agent', 'reg-browser']);
    }
    sent.length = 0;
    await fetch(registry.url + TAGS, { headers: { 'User-Agent': 'mine', Host: 'other.example' } });
    expect(sent[0]?.[1]?.headers).toContainEqual(['user-agent', 'mine']);
    expect(String(sent[0]?.[1]?.headers)).not.toContain('reg-browser');
    expect(String(sent[0]?.[1]?.headers)).not.toContain('other.example');
  });

  test('with an Authorization nothing is left in a cache, unless the caller wants it there', async () => {
    const caches: unknown[] = [];
    const fetch = createRegistryFetch({
      fetch: async (_, init) => {
        caches.push(init?.cache);
        return new Response('{}');
      },
    });
    const url = 'https://registry.example/v2/';
    const headers = { Authorization: 'Bearer of-the-caller' };
    const wants = [{}, { cache: 'default' }, { cache: 'force-cache' }, { cache: 'no-cache' }] as const;
    for (const init of wants) await fetch(url, { headers, ...init });
    await fetch(new Request(url, { headers }));
    await fetch(url, new Request(url, { headers }));
    await fetch(new Request(url, { headers, cache: 'force-cache' }));
    await fetch(url);
    const [unsaid, ...said] = ['no-store', 'default', 'force-cache', 'no-cache'];
    expect(caches).toEqual([unsaid, ...said, unsaid, unsaid, 'force-cache', undefined]);
  });
});

describe('the response', () => {
  test('is the platform’s own, with url, status, headers and body', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(registry.url + TAGS);
    expect(response).toBeInstanceOf(Response);
    expect(response).toMatchObject({ ok: true, status: 200, url: registry.url + TAGS, redirected: false });
    expect(await response.json()).toEqual({ name: 'team/app', tags: ['1'] });
  });

  test('after a redirect says where it came from, and so does a clone', async () => {
    const { registry, fetch } = await fetching({ redirectBlobs: true });
    const response = await fetch(registry.url + BLOB);
    const clone = response.clone().clone();
    expect(new URL(response.url).origin).toBe(registry.blobsUrl);
    expect([response.redirected, clone.redirected, clone.url]).toEqual([true, true, response.url]);
    expect([await clone.text(), await response.text()]).toEqual(['app content', 'app content']);
  });

  test('that is final is delivered whole, with the failure, which clones keep', async () => {
    const { registry, fetch } = await fetching();
    const response = await fetch(`${registry.url}/v2/team/none/tags/list`);
    expect(response.status).toBe(401);
    expect(failureOf(response)).toMatchObject({ kind: 'denied', reason: 'insufficient-scope' });
    expect(failureOf(response.clone().clone())).toEqual(failureOf(response));
    expect(await response.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
  });

  test.each([
    ['manual', 307],
    ['error', null],
  ] as const)('redirect: "%s"', async (redirect, status) => {
    const { registry, fetch } = await fetching({ redirectBlobs: true });
    const call = fetch(registry.url + BLOB, { redirect });
    if (status === null) expect(await errorOf(call)).toBeInstanceOf(TypeError);
    else expect((await call).status).toBe(status);
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });

  test('several challenge fields arrive as one, and the one that can be answered is', async () => {
    const { registry, fetch } = await fetching();
    const bearer = `Bearer realm="${registry.tokenUrl}",service="${registry.service}",scope="repository:team/app:pull"`;
    registry.faults.add({ kind: 'challenge', values: ['Negotiate', bearer, 'Digest realm="a, b"'] });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
  });
});

describe('where the platform follows redirects', () => {
  const policy = { redirects: { mode: 'platform' } } as const;

  test('its own response is returned as it is', async () => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    const own: Response[] = [];
    const fetch = createRegistryFetch({
      ...auth,
      policy: { ...auth.policy, ...policy },
      fetch: async (input, init) => {
        const response = await globalThis.fetch(input, init);
        own.push(response);
        return response;
      },
    });
    const response = await fetch(registry.url + BLOB);
    expect(response).toBe(own.at(-1));
    expect(Object.getOwnPropertyNames(response)).toEqual([]);
    expect([response.redirected, await response.text()]).toEqual([true, 'app content']);
    const denied = await fetch(`${registry.url}/v2/team/none/tags/list`);
    expect(failureOf(denied)).toMatchObject({ kind: 'denied' });
  });

  /** What a browser makes of a redirect that it does not follow. */
  const hiding: typeof globalThis.fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init);
    if (init?.redirect !== 'manual' || response.status < 300 || response.status > 399) return response;
    const hidden = Response.error();
    return Object.defineProperty(hidden, 'type', { value: 'opaqueredirect' });
  };

  test('redirect "manual" gives the hidden response, "error" a TypeError', async () => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    const fetch = createRegistryFetch({ ...auth, policy: { ...auth.policy, ...policy }, fetch: hiding });
    const response = await fetch(registry.url + BLOB, { redirect: 'manual' });
    expect([response.type, response.status]).toEqual(['opaqueredirect', 0]);
    expect(await errorOf(fetch(registry.url + BLOB, { redirect: 'error' }))).toBeInstanceOf(TypeError);
  });

  test.each<[string, RequestInit]>([
    ['x-api-key', { headers: { 'X-Api-Key': 'of the registry' } }],
    ['a POST', { method: 'POST', body: 'layer' }],
  ])('with %s none is, since nobody sees where it leads', async (what, init) => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    registry.faults.add({ kind: 'redirect', location: '/elsewhere', times: ALWAYS });
    const fetch = createRegistryFetch({ ...auth, policy: { ...auth.policy, ...policy }, fetch: hiding });
    const error = await errorOf(fetch(registry.url + BLOB, init));
    expect(error).toHaveProperty(
      'failure',
      expect.objectContaining({ kind: 'redirect-refused', reason: 'hidden' }),
    );
    expect(String(error)).toContain(what);
    expect(registry.count()).toBe(1);
  });

  test('what it shows is judged all the same: an upload goes on at its own origin', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ kind: 'redirect', location: '/v2/team/app/blobs/uploads/' });
    const fetch = createRegistryFetch({ ...auth, policy: { ...auth.policy, ...policy } });
    const response = await fetch(`${registry.url}/v2/team/other/blobs/uploads/`, { method: 'POST' });
    expect([response.status, response.redirected]).toEqual([202, true]);
    expect(response.clone().redirected).toBe(true);
  });

  test('a token server’s redirect is not followed, wherever it leads', async () => {
    const { registry, auth } = await stage();
    registry.faults.add({ server: 'token', kind: 'redirect', location: '/elsewhere', times: ALWAYS });
    const fetch = createRegistryFetch({ ...auth, policy: { ...auth.policy, ...policy }, fetch: hiding });
    expect(await failureIn(fetch(registry.url + TAGS))).toMatchObject({
      kind: 'token-redirected',
      location: null,
    });
    expect(registry.requests.some(({ url }) => url.startsWith('/elsewhere'))).toBe(false);
  });

  test('is what a browser is taken for, unless policy says otherwise', async () => {
    const { registry, auth } = await stage({ redirectBlobs: true });
    const modes: unknown[] = [];
    const platform: typeof globalThis.fetch = (input, init) => {
      modes.push(init?.redirect);
      expect(String(init?.headers)).not.toContain('user-agent');
      return globalThis.fetch(input, init);
    };
    vi.stubGlobal('importScripts', () => {});
    const inWorker = createRegistryFetch({ ...auth, fetch: platform });
    await inWorker(registry.url + BLOB);
    // The token request follows none.
    expect(modes).toEqual(['follow', 'manual', 'follow']);
    modes.length = 0;
    const judge = createRegistryFetch({
      ...auth,
      policy: { ...auth.policy, redirects: { mode: 'judge' } },
      fetch: platform,
    });
    await judge(registry.url + BLOB);
    expect(new Set(modes)).toEqual(new Set(['manual']));
  });
});

describe('signals', () => {
  test('of init goes before that of the Request, and null is none', async () => {
    const { registry, fetch } = await fetching();
    const reason = new Error('enough');
    const request = new Request(registry.url + TAGS, { signal: AbortSignal.abort(reason) });
    expect(await errorOf(fetch(request))).toBe(reason);
    expect(registry.count()).toBe(0);
    expect((await fetch(request, { signal: null })).status).toBe(200);
    expect((await fetch(request, { signal: new AbortController().signal })).status).toBe(200);
  });

  test('nothing is left on one that serves many calls', async () => {
    const { registry, fetch } = await fetching();
    const { signal } = new AbortController();
    const counts: number[] = [];
    const add = signal.addEventListener;
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      counts.push(1);
      add.apply(signal, args);
    };
    for (let n = 0; n < 3; n++) await (await fetch(registry.url + TAGS, { signal })).text();
    await fetch(`${registry.url}/v2/team/none/tags/list`, { signal });
    expect(counts).toEqual([]);
  });

  test.each(['registry', 'token'] as const)(
    'an abort ends what is asked of the %s server',
    async (server) => {
      const { registry, fetch } = await fetching();
      registry.faults.add({ server, kind: 'stall', at: 'before-head' });
      const controller = new AbortController();
      const reason = { why: 'enough' };
      const call = errorOf(fetch(registry.url + TAGS, { signal: controller.signal }));
      await until(() => registry.count({ server }) > 0);
      controller.abort(reason);
      expect(await call).toBe(reason);
    },
  );

  test('an abort is the caller’s also of a fetch that ignores it', async () => {
    const fetch = createRegistryFetch({ fetch: () => new Promise(() => {}) });
    const controller = new AbortController();
    const call = errorOf(fetch('https://registry.example/v2/', { signal: controller.signal }));
    controller.abort('enough');
    expect(await call).toBe('enough');
  });

  test('an abort in the middle of a body ends the body', async () => {
    const { registry, fetch } = await fetching();
    registry.faults.add({ path: /blobs/, after: 1, kind: 'stall', at: 'mid-body' });
    const controller = new AbortController();
    const reason = new Error('enough');
    const response = await fetch(registry.url + BLOB, { signal: controller.signal });
    const text = errorOf(response.text());
    controller.abort(reason);
    expect(await text).toBe(reason);
  });
});

describe('what never ends', () => {
  /** Lets a timer of `ms` ring. */
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  test('a fetch that never settles is a failure at the deadline, and is told to end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let signal: AbortSignal | null | undefined;
    const fetch = createRegistryFetch({
      fetch: (_, init) => {
        signal = init?.signal;
        return new Promise(() => {});
      },
    });
    const call = failureIn(fetch('https://registry.example/v2/'));
    await pass(29_999);
    expect(signal?.aborted).toBe(false);
    await pass(1);
    expect(await call).toMatchObject({
      kind: 'network',
      to: 'registry',
      phase: 'head',
      code: 'HEAD_TIMEOUT',
    });
    expect(signal?.aborted).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('no timer outlives what it was for', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const answers = [
      new Response('{}'),
      new Response('{"errors":[]}', { status: 404 }),
      new TypeError('failed'),
    ];
    for (const answer of answers) {
      const fetch = createRegistryFetch({
        fetch: async () => {
          if (answer instanceof Response) return answer;
          throw answer;
        },
      });
      await fetch('https://registry.example/v2/').catch(() => {});
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  test.each([
    ['a stream', () => ({ body: new Blob(['x']).stream(), duplex: 'half' as const })],
    ['more than 256 KiB', () => ({ body: new Uint8Array(262_145) })],
    ['that much text', () => ({ body: 'x'.repeat(262_145) })],
    ['nothing more, at its end', () => ({ method: 'PUT', body: '' })],
  ])('an upload of %s takes the time it takes', async (_, body) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let settle: (response: Response) => void = () => {};
    const fetch = createRegistryFetch({
      fetch: (input) =>
        String(input).endsWith('/v2/')
          ? Promise.resolve(new Response('{}'))
          : new Promise((resolve) => {
              settle = resolve;
            }),
    });
    const call = fetch('https://registry.example/v2/a/blobs/uploads/1', { method: 'PATCH', ...body() });
    await pass(3_600_000);
    settle(new Response(null, { status: 202 }));
    expect((await call).status).toBe(202);
  });

  test.each([
    ['an empty body', ''],
    ['256 KiB', new Uint8Array(262_144)],
    ['a Blob', new Blob(['x'])],
    ['parameters', new URLSearchParams('a=b')],
  ])('what sends no more than %s has the deadline of what sends nothing', async (_, body) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const fetch = createRegistryFetch({ fetch: () => new Promise(() => {}) });
    const call = failureIn(fetch('https://registry.example/v2/a/manifests/1', { method: 'PUT', body }));
    await pass(30_000);
    expect(await call).toMatchObject({ kind: 'network', code: 'HEAD_TIMEOUT' });
  });

  test('a deadline of more than timers can wait for does not ring at once', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let settle: (response: Response) => void = () => {};
    const fetch = createRegistryFetch({
      policy: { deadlineMs: 2 ** 31 },
      fetch: () =>
        new Promise((resolve) => {
          settle = resolve;
        }),
    });
    const call = fetch('https://registry.example/v2/');
    await pass(60_000);
    settle(new Response('{}'));
    expect((await call).status).toBe(200);
  });

  test.each([
    ['no head', () => new Promise<Response>(() => {})],
    ['a body without end', async () => new Response(new ReadableStream())],
  ])('a token server with %s is a failure at the deadline', async (_, token) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const headers = { 'www-authenticate': 'Bearer realm="https://registry.example/token"' };
    const fetch = createRegistryFetch({
      fetch: async (input) =>
        String(input).includes('/token') ? token() : new Response(null, { status: 401, headers }),
    });
    const call = failureIn(fetch('https://registry.example/v2/team/app/tags/list'));
    await pass(30_000);
    expect(await call).toMatchObject({ kind: 'deadline', ms: 30_000 });
  });

  test('a 404 whose body stalls is delivered in two seconds, with no copy of what is left of it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let source: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        source = controller;
      },
    });
    const response = new Response(body, { status: 404 });
    let copy: Response | undefined;
    response.clone = () => {
      copy = Response.prototype.clone.call(response);
      return copy;
    };
    const fetch = createRegistryFetch({ fetch: async () => response });
    let delivered: Response | undefined;
    const call = fetch('https://registry.example/v2/team/app/tags/list').then((given) => {
      delivered = given;
    });
    await pass(1_999);
    expect(delivered).toBeUndefined();
    await pass(1);
    await call;
    source?.enqueue(new TextEncoder().encode('late'));
    source?.close();
    expect([delivered?.status, await delivered?.text()]).toEqual([404, 'late']);
    // A copy that nobody reads would keep all that the caller reads.
    expect(copy?.bodyUsed).toBe(true);
  });

  test.each(['deadline', 'abort'])(
    'a response that comes after the %s, of a fetch that ignores its signal, is dropped',
    async (end) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let settle: ((response: Response) => void) | undefined;
      const fetch = createRegistryFetch({
        fetch: () =>
          new Promise((resolve) => {
            settle = resolve;
          }),
      });
      const controller = new AbortController();
      const call = errorOf(fetch('https://registry.example/v2/', { signal: controller.signal }));
      await until(() => settle !== undefined);
      if (end === 'abort') controller.abort();
      await pass(30_000);
      await call;
      const dropped = new Promise((resolve) => {
        settle?.(new Response(new ReadableStream({ cancel: () => resolve('dropped') })));
      });
      expect(await dropped).toBe('dropped');
    },
  );

  test('an endless token body is not read to its end, encoded or not', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    for (const [headers, body] of [
      [{ 'content-encoding': 'gzip' }, bomb],
      [{ 'content-encoding': 'br' }, brotliCompressSync(Buffer.alloc(50_000_000))],
    ] as const) {
      const url = await serve((request, response) => {
        if (request.url?.startsWith('/token')) {
          response.writeHead(200, headers).end(body);
        } else {
          response.writeHead(401, { 'www-authenticate': 'Bearer realm="/token"' }).end();
        }
      });
      const fetch = createRegistryFetch({ keychain: aliceAt(url) });
      expect(await failureIn(fetch(`${url}/v2/team/app/tags/list`))).toMatchObject({
        kind: 'token-invalid',
        reason: 'too-large',
      });
    }
  });
});

describe('a failure of the network', () => {
  /** A fetch that fails with `error`. */
  const failing = (error: unknown) => createRegistryFetch({ fetch: () => Promise.reject(error) });
  const url = 'https://registry.example/v2/team/app/tags/list?secret=sesame';
  const withCode = (code: string, cause = new Error('inner')) => Object.assign(cause, { code });

  test.each([
    ['ENOTFOUND', 'lookup'],
    ['EAI_AGAIN', 'lookup'],
    ['ECONNREFUSED', 'connect'],
    ['UND_ERR_CONNECT_TIMEOUT', 'connect'],
    ['CERT_HAS_EXPIRED', 'tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls'],
    ['UND_ERR_SOCKET', 'head'],
  ])('%s is of the phase %s, whether the error or its cause has it', async (code, phase) => {
    const errors = [withCode(code), new TypeError('fetch failed', { cause: withCode(code) })];
    for (const error of errors) {
      expect(await failureIn(failing(error)(url))).toMatchObject({ kind: 'network', phase, code });
    }
  });

  test('that a browser says nothing of tells how to find out', async () => {
    vi.stubGlobal('document', {});
    const thrown = new TypeError('Failed to fetch');
    const error = await errorOf(failing(thrown)(url));
    if (!isRegistryAuthError(error)) throw error;
    expect(error.failure).toMatchObject({ kind: 'network', phase: 'unknown', code: 'FETCH_FAILED' });
    expect(error.message).toContain('diagnoseCors(url)');
    expect(error.cause).toMatchObject({ cause: thrown });
  });

  /** As Deno has it, in the cause. */
  const ofDeno = (what: string): Error =>
    new TypeError('fetch failed', {
      cause: new Error(`error sending request for url (https://registry.example/v2/?sesame): ${what}`),
    });

  test.each<[string, unknown]>([
    ['lookup', ofDeno('client error (Connect): dns error: failed to lookup address information')],
    ['connect', ofDeno('client error (Connect): tcp connect error: Connection refused (os error 111)')],
    ['tls', ofDeno('client error (Connect): invalid peer certificate: UnknownIssuer')],
    ['connect', ofDeno('client error (Connect): Connection reset by peer (os error 104)')],
    ['unknown', ofDeno('sesame')],
    ['unknown', new Error('Network connection lost.')],
    ['unknown', 'sesame'],
  ])('that has no code is of the phase %s and no matter of CORS elsewhere: %s', async (phase, thrown) => {
    const error = await errorOf(failing(thrown)(url));
    if (!isRegistryAuthError(error)) throw error;
    expect(error.failure).toMatchObject({ kind: 'network', phase, code: 'REQUEST_FAILED' });
    expect(error.message).not.toMatch(/CORS|sesame/i);
    expect(error.cause).toMatchObject({ cause: thrown });
  });

  test('of a stream in a browser says what it takes', async () => {
    vi.stubGlobal('document', {});
    const call = failing(new TypeError('Failed to fetch'))(url, {
      method: 'POST',
      body: new ReadableStream(),
      duplex: 'half',
    } as RequestInit);
    // It is the bodiless question before it that fails, and tells of no stream.
    const asked = await errorOf(call);
    expect(String(asked)).not.toContain('HTTP/2');
    const open = createRegistryFetch({
      fetch: async (_, init) => {
        if (init?.body) throw new TypeError('Failed to fetch');
        return new Response('{}');
      },
    });
    const body = new ReadableStream();
    const error = await errorOf(open(url, { method: 'POST', body, duplex: 'half' } as RequestInit));
    expect(String(error)).toContain('HTTP/2');
  });

  test('is told of a host that is down', async () => {
    const down = await serve(() => {});
    const { port } = new URL(down);
    const fetch = createRegistryFetch();
    expect(await failureIn(fetch(`http://127.0.0.1:${Number(port) === 1 ? 2 : 1}/v2/`))).toMatchObject({
      kind: 'network',
      to: 'registry',
    });
  });
});

describe('known challenges', () => {
  test('answer a 401 whose challenge the page may not read', async () => {
    const { registry, auth } = await stage();
    const hiding: typeof globalThis.fetch = async (input, init) => {
      const { status, headers, body } = await globalThis.fetch(input, init);
      const shown = new Headers(headers);
      shown.delete('www-authenticate');
      return Object.defineProperty(new Response(body, { status, headers: shown }), 'type', { value: 'cors' });
    };
    const hidden = await createRegistryFetch({ ...auth, fetch: hiding })(registry.url + TAGS);
    expect(failureOf(hidden)).toMatchObject({
      kind: 'challenge-hidden',
      line: 'Access-Control-Expose-Headers: WWW-Authenticate',
    });
    const challenges = {
      [registry.url]: `Bearer realm="${registry.tokenUrl}",service="${registry.service}"`,
    };
    const fetch = createRegistryFetch({ ...auth, fetch: hiding, challenges });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
  });

  test('that no handshake could answer are refused at once', () => {
    expect(() => createRegistryFetch({ challenges: { 'https://registry.example': 'Negotiate' } })).toThrow(
      TypeError,
    );
  });
});
