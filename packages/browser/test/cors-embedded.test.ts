/** What `diagnoseCors` tells in Chromium of the embedded registry, with each single header missing, and of servers that are none. */

import { createServer, type Socket } from 'node:net';
import { type CorsOptions, createServerCertificate, type Registry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import { diagnose, gist } from './cors-stage.ts';
import { registryFor } from './registries.ts';

const chromium = useChromium();

const paired = ({ pair }: Registry) => [pair];

const allowOrigin = (page: string) => `Access-Control-Allow-Origin: ${page}`;
const expose = 'Access-Control-Expose-Headers: WWW-Authenticate';
const authorization = 'Access-Control-Allow-Headers: Authorization';

describe.skipIf(chromiumIsMissing)('the embedded registry', () => {
  test('as it should be: all well, by requests that hold no credential', async () => {
    const { registry } = await registryFor();
    const page = await serveSite();
    const told = await diagnose(await chromium.open(page), `${registry.url}/`, paired(registry));
    expect(gist(told)).toEqual(['ok', null, null]);
    expect(told).toMatchObject({ url: `${registry.url}/v2/`, page, fixes: null });
    expect(told.probes.map(({ server, ask, saw, status }) => [server, ask, saw, status])).toEqual([
      ['registry', 'plain', 'answer', 401],
      ['registry', 'authorization', 'answer', 401],
      ['token-server', 'plain', 'answer', 200],
      ['token-server', 'authorization', 'answer', expect.any(Number)],
    ]);
    const sent = registry.requests.map(({ headers }) => headers['authorization']);
    expect(sent.filter((value) => value !== undefined)).toEqual(['CORS-Probe', 'CORS-Probe']);
  });

  const wrong: readonly [string, CorsOptions | false, string, string, ((page: string) => string) | null][] = [
    ['no CORS at all', false, 'origin-refused', 'registry', allowOrigin],
    ['another origin', { origin: 'https://ui.test' }, 'origin-refused', 'registry', allowOrigin],
    [
      'an origin by name, as the page spells none',
      { origin: 'null' },
      'origin-refused',
      'registry',
      allowOrigin,
    ],
    ['the same header twice', { origin: '*, *' }, 'origin-refused', 'registry', allowOrigin],
    ['headers on a success alone', { statuses: [200, 204] }, 'origin-refused', 'registry', allowOrigin],
    ['nothing exposed', { exposeHeaders: [] }, 'challenge-hidden', 'registry', () => expose],
    ['other headers exposed', { exposeHeaders: ['Link'] }, 'challenge-hidden', 'registry', () => expose],
    [
      'Authorization not allowed',
      { allowHeaders: ['Accept'] },
      'authorization-not-allowed',
      'registry',
      () => authorization,
    ],
    ['a preflight that wants a login (Q75)', { preflight: 401 }, 'preflight-refused', 'registry', null],
    ['a preflight that is no method', { preflight: 405 }, 'preflight-refused', 'registry', null],
    ['a preflight that redirects', { preflight: 307 }, 'preflight-refused', 'registry', null],
    ['a preflight without Allow-Origin', { statuses: [200, 401] }, 'preflight-refused', 'registry', null],
    ['nothing allowed', { allowHeaders: [] }, 'preflight-refused', 'registry', null],
    ['a token server without CORS', { servers: ['registry'] }, 'origin-refused', 'token-server', allowOrigin],
  ];
  test.each(wrong)('%s', async (_, cors, verdict, server, header) => {
    const { registry } = await registryFor({ cors });
    const page = await serveSite();
    const told = await diagnose(await chromium.open(page), registry.url, paired(registry));
    expect(gist(told)).toEqual([verdict, server, header?.(page) ?? null]);
    expect(told.fixes?.nginx.lines).toContain(`"${page}"`);
  });

  test("Chromium takes a wildcard for Authorization too, against the standard: there it is in nobody's way (requirement 144)", async () => {
    const { registry } = await registryFor({ cors: { allowHeaders: ['*'] } });
    const told = await diagnose(await chromium.open(await serveSite()), registry.url, paired(registry));
    expect(told.verdict).toBe('ok');
  });

  test.each<[string, CorsOptions | false, string, ((page: string) => string) | null]>([
    ['no CORS at all', false, 'origin-refused', allowOrigin],
    ['another origin', { origin: 'https://ui.test' }, 'origin-refused', allowOrigin],
    ['nothing exposed, which nobody needs of it', { exposeHeaders: [] }, 'ok', null],
    [
      'Authorization not allowed',
      { allowHeaders: ['Accept'] },
      'authorization-not-allowed',
      () => authorization,
    ],
    ['a preflight that wants a login', { preflight: 401 }, 'preflight-refused', null],
    ['a preflight that is no method', { preflight: 405 }, 'preflight-refused', null],
    ['a preflight that redirects', { preflight: 307 }, 'preflight-refused', null],
    ['a preflight without Allow-Origin', { statuses: [200, 401] }, 'preflight-refused', null],
  ])('its token server alone: %s', async (_, cors, verdict, header) => {
    const { registry } = await registryFor();
    const { registry: elsewhere } = await registryFor({ cors });
    const challenge = `Bearer realm="${elsewhere.tokenUrl}",service="test-registry"`;
    registry.faults.add({ kind: 'challenge', values: [challenge], times: Number.POSITIVE_INFINITY });
    const pair = { registry: registry.url, realm: new URL(elsewhere.tokenUrl).origin };
    const page = await serveSite();
    const told = await diagnose(await chromium.open(page), registry.url, [pair]);
    expect(gist(told)).toEqual([verdict, verdict === 'ok' ? null : 'token-server', header?.(page) ?? null]);
    if (verdict !== 'ok') {
      expect(told.fixes?.nginx.lines).toContain(`location = ${new URL(elsewhere.tokenUrl).pathname} {`);
      expect(told.fixes?.nginx.lines).toContain(`proxy_pass ${pair.realm};`);
      expect(told.fixes).toMatchObject({ distribution: null, zot: null });
    }
  });

  test('a redirect to a server that lets no page read, and that is told no origin to let in', async () => {
    const { registry } = await registryFor({ auth: 'none', cors: { servers: ['registry'] } });
    const page = await serveSite();
    const opened = await chromium.open(page);
    const headers: Record<string, string> = {};
    const bucket = await serveSite({ otherwise: (_, response) => response.writeHead(200, headers).end() });
    const times = Number.POSITIVE_INFINITY;
    registry.faults.add({ kind: 'redirect', location: `${bucket}/blob`, times });
    const line = 'Access-Control-Allow-Origin: *';
    for (const origin of [null, page, '*']) {
      if (origin !== null) headers['Access-Control-Allow-Origin'] = origin;
      const told = await diagnose(opened, registry.url);
      expect(gist(told)).toEqual(
        origin === '*' ? ['ok', null, null] : ['redirect-refused', 'registry', line],
      );
      expect(told.fixes).toBeNull();
    }
  });

  test('a registry without a login is asked for no token', async () => {
    const { registry } = await registryFor({ auth: 'none' });
    const told = await diagnose(await chromium.open(await serveSite()), registry.url);
    expect(gist(told)).toEqual(['ok', null, null]);
    expect(registry.count({ server: 'token' })).toBe(0);
  });

  test('of a manifest, that its digest cannot be seen', async () => {
    const { registry } = await registryFor({ auth: 'none', cors: { exposeHeaders: ['Link'] } });
    const opened = await chromium.open(await serveSite());
    const told = await diagnose(opened, `${registry.url}/v2/library/busybox/manifests/latest?a=b#c`);
    expect(told.url).toBe(`${registry.url}/v2/library/busybox/manifests/latest`);
    expect(gist(told)).toEqual(['ok', null, 'Access-Control-Expose-Headers: Docker-Content-Digest']);
  });

  test('a preflight that passed is asked for again, however long it may be remembered', async () => {
    let preflights = 0;
    const registry = await serveSite({
      otherwise: ({ method }, response) => {
        if (method === 'OPTIONS') preflights += 1;
        response
          .writeHead(method === 'OPTIONS' && preflights > 1 ? 401 : 200, {
            'Access-Control-Allow-Origin': '*',
            'Access-Control-Allow-Headers': 'Authorization',
            'Access-Control-Max-Age': '600',
          })
          .end();
      },
    });
    const opened = await chromium.open(await serveSite());
    expect((await diagnose(opened, registry)).verdict).toBe('ok');
    expect((await diagnose(opened, registry)).verdict).toBe('preflight-refused');
  });

  test('a page of the same origin needs nothing', async () => {
    const page = await serveSite({
      otherwise: (_, response) => response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end(),
    });
    const told = await diagnose(await chromium.open(page), page);
    expect(gist(told)).toEqual(['ok', null, null]);
    expect(told.probes).toHaveLength(1);
  });

  test('a page without an origin of its own is allowed by nothing but *', async () => {
    const page = await serveSite({
      headers: { 'Content-Security-Policy': 'sandbox allow-scripts', 'Access-Control-Allow-Origin': '*' },
    });
    const { registry } = await registryFor({ cors: { origin: page } });
    const told = await diagnose(await chromium.open(page), registry.url);
    expect(told.page).toBe('null');
    expect(gist(told)).toEqual(['origin-refused', 'registry', allowOrigin('*')]);
    expect(told.fixes?.nginx.lines).toContain('add_header Access-Control-Allow-Origin "*" always;');
  });
});

/** A port where a connection is treated so. */
const portWhere = async (treat: (socket: Socket) => void): Promise<number> => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    treat(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
};

describe.skipIf(chromiumIsMissing)('the page itself', () => {
  const policy = (sources: string) => ({
    'Content-Security-Policy': `default-src 'none'; script-src 'self'; connect-src ${sources}`,
  });

  test('its own policy forbids the registry', async () => {
    const { registry } = await registryFor();
    const opened = await chromium.open(await serveSite({ headers: policy("'self'") }));
    const told = await diagnose(opened, registry.url, paired(registry));
    expect(gist(told)).toEqual(['page-csp', 'registry', null]);
    expect(told.summary).toContain(`add that to the connect-src it has, here ${registry.url}.`);
    expect([told.fixes, registry.count()]).toEqual([null, 0]);
  });

  test('its own policy forbids the token server', async () => {
    const { registry } = await registryFor();
    const opened = await chromium.open(await serveSite({ headers: policy(registry.url) }));
    const told = await diagnose(opened, registry.url, paired(registry));
    expect(gist(told)).toEqual(['page-csp', 'token-server', null]);
    expect(told.summary).toContain(`here ${registry.pair.realm}.`);
  });

  test('a worker is told the same of the policy it runs under', async () => {
    const { registry } = await registryFor();
    const headers = { 'Content-Security-Policy': "connect-src 'self'" };
    const { page } = await chromium.open(await serveSite({ headers }));
    const told = await page.evaluate(
      (url) =>
        new Promise((resolve, reject) => {
          const script = `import '${location.origin}/page.js';
            const { verdict, page } = await reg.diagnoseCors('${url}');
            postMessage([verdict, page]);`;
          const source = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
          const worker = new Worker(source, { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        }),
      registry.url,
    );
    expect(told).toEqual(['page-csp', new URL(page.url()).origin]);
    expect(registry.count()).toBe(0);
  });

  test.each([
    ['its own policy', { 'Content-Security-Policy': "connect-src 'self'" }, 'page-csp'],
    ['a header that is not exposed', {}, 'challenge-hidden'],
  ])('a service worker is told of %s', async (_, headers, verdict) => {
    const { registry } = await registryFor({ cors: { exposeHeaders: [] } });
    const body = `import '/page.js';
      addEventListener('install', (event) => event.waitUntil(skipWaiting()));
      addEventListener('activate', (event) => event.waitUntil(clients.claim()));
      addEventListener('message', (event) => event.waitUntil(
        reg.diagnoseCors(event.data).then(({ verdict, page }) => event.source.postMessage([verdict, page])),
      ));`;
    const files = { '/sw.js': { type: 'text/javascript', body } };
    const { page } = await chromium.open(await serveSite({ headers, files }));
    const told = await page.evaluate(async (url) => {
      await globalThis.reg.controlledBy('/sw.js');
      const { serviceWorker } = navigator;
      return new Promise((resolve) => {
        serviceWorker.onmessage = ({ data }) => resolve(data);
        serviceWorker.controller?.postMessage(url);
      });
    }, registry.url);
    expect(told).toEqual([verdict, new URL(page.url()).origin]);
  });

  test("a policy that only reports is in nobody's way", async () => {
    const { registry } = await registryFor({ cors: false });
    const headers = { 'Content-Security-Policy-Report-Only': "connect-src 'self'" };
    const told = await diagnose(await chromium.open(await serveSite({ headers })), registry.url);
    expect(told.verdict).toBe('origin-refused');
  });

  test('on https it may not ask a registry on http, but one of this machine', async () => {
    const { registry } = await registryFor({ auth: 'none' });
    const tls = createServerCertificate();
    const opened = await chromium.open(await serveSite({ tls }), { anyCertificate: true });
    const elsewhere = registry.url.replace('127.0.0.1', 'registry.test');
    expect(gist(await diagnose(opened, elsewhere))).toEqual(['mixed-content', 'registry', null]);
    expect(registry.count()).toBe(0);
    expect(gist(await diagnose(opened, registry.url))).toEqual(['ok', null, null]);
  });

  test('aborts with the reason of its signal, and rejects for what is no URL to ask', async () => {
    const port = await portWhere(() => {});
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(async (url) => {
      const controller = new AbortController();
      const { diagnoseCors } = globalThis.reg;
      const call = diagnoseCors(url, { signal: controller.signal }).catch((error: unknown) => error);
      controller.abort('enough');
      const refused = (url: string) => diagnoseCors(url).then(String, String);
      return [
        await call,
        await refused('https://a:b-secret@c/'),
        await refused('//x'),
        await refused('ws://x/'),
      ];
    }, `http://127.0.0.1:${port}`);
    expect(told[0]).toBe('enough');
    expect(told.slice(1)).toEqual([
      expect.stringMatching(/^TypeError.*user name or password/),
      expect.stringMatching(/^TypeError.*absolute URL/),
      expect.stringMatching(/^TypeError.*absolute URL/),
    ]);
    expect(JSON.stringify(told)).not.toContain('b-secret');
  });
});

describe.skipIf(chromiumIsMissing)('servers that are no registry', () => {
  test('a host that is down', async () => {
    const { registry } = await registryFor();
    await registry.close();
    const told = await diagnose(await chromium.open(await serveSite()), registry.url);
    expect(gist(told)).toEqual(['unreachable', 'registry', null]);
    expect(told.fixes).toBeNull();
  });

  test('a token server that is down', async () => {
    const { registry } = await registryFor();
    const { registry: gone } = await registryFor();
    await gone.close();
    const values = [`Bearer realm="${gone.tokenUrl}"`];
    registry.faults.add({ kind: 'challenge', values, times: Number.POSITIVE_INFINITY });
    const pair = { registry: registry.url, realm: gone.pair.realm };
    const told = await diagnose(await chromium.open(await serveSite()), registry.url, [pair]);
    expect(gist(told)).toEqual(['unreachable', 'token-server', null]);
  });

  test("a name that is nobody's", async () => {
    const told = await diagnose(await chromium.open(await serveSite()), 'http://nowhere.invalid/');
    expect(told.verdict).toBe('unreachable');
  });

  test('a port that speaks no HTTP', async () => {
    const port = await portWhere((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'.repeat(400)));
    const told = await diagnose(await chromium.open(await serveSite()), `http://127.0.0.1:${port}`);
    expect(gist(told)).toEqual(['unreachable', 'registry', null]);
  });

  test('a certificate that the browser refuses', async () => {
    const { registry } = await registryFor({ tls: true });
    const told = await diagnose(await chromium.open(await serveSite()), registry.url);
    expect(gist(told)).toEqual(['unreachable', 'registry', null]);
    expect(told.summary).toContain('certificate');
  });

  test('a server that never answers, within the deadline', async () => {
    const port = await portWhere(() => {});
    const opened = await chromium.open(await serveSite());
    const told = await diagnose(opened, `http://127.0.0.1:${port}`, [], 300);
    expect(gist(told)).toEqual(['no-answer', 'registry', null]);
  });

  test('a preflight that is never answered', async () => {
    const port = await portWhere((socket) =>
      socket.on('data', (data) => {
        if (String(data).startsWith('OPTIONS')) return;
        socket.write('HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n');
      }),
    );
    const opened = await chromium.open(await serveSite());
    const told = await diagnose(opened, `http://127.0.0.1:${port}`, [], 2_000);
    expect(told.probes.map(({ ask, saw }) => [ask, saw])).toEqual([
      ['plain', 'answer'],
      ['authorization', 'nothing'],
    ]);
    expect(gist(told)).toEqual(['no-answer', 'registry', null]);
  });
});

describe.skipIf(chromiumIsMissing)('hostile registries', () => {
  const challenged = async (...values: string[]) => {
    const { registry } = await registryFor();
    registry.faults.add({ kind: 'challenge', values, times: Number.POSITIVE_INFINITY });
    const opened = await chromium.open(await serveSite());
    return { registry, opened, told: await diagnose(opened, registry.url) };
  };

  test.each([
    ['a metadata address', 'http://169.254.169.254/latest/meta-data', 'metadata'],
    ['this machine', 'https://localhost:1/token', 'loopback'],
    ['a user name and password', 'https://user:hunter2-secret@sso.invalid/token', 'userinfo'],
    ['a script', 'javascript:alert(1)', 'scheme'],
  ])('a realm with %s is not asked, and no secret of it is shown', async (_, realm, reason) => {
    const { opened, told } = await challenged(`Bearer realm="${realm}",service="s"`);
    expect(gist(told)).toEqual(['realm-refused', 'token-server', null]);
    expect(told.summary).toContain(`(${reason})`);
    expect(JSON.stringify(told)).not.toContain('hunter2');
    const asked = opened.requests.filter(({ type }) => type === 'Fetch').map(({ url }) => new URL(url).port);
    expect(new Set(asked).size).toBe(1);
  });

  test('HTML, bidi and a megabyte in the challenge are neither shown nor run', async () => {
    for (const [value, verdict] of [
      ['Bearer realm="<img src=x onerror=alert(1)>",service="<script>"', 'ok'],
      ['Bearer realm="https://sso.invalid/\u00e2\u0080\u00ae",scope="\u00e2\u0080\u00ae"', 'unreachable'],
      // More than Chromium takes of a head.
      [`Bearer realm="https://sso.invalid/${'a'.repeat(1 << 20)}"`, 'unreachable'],
    ] as const) {
      const { opened, told } = await challenged(value);
      expect(told.verdict).toBe(verdict);
      expect(JSON.stringify(told)).not.toMatch(/[<\u007f-\uffff]|a{2048}/);
      expect(opened.errors).toEqual([]);
    }
  });
});
