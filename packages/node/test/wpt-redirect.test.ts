/**
 * Web Platform Tests, fetch/api/redirect. Where policy is stricter than fetch the case stands at the end, with what happens
 * instead: a registry's redirect is followed five times and not twenty, and an upload never goes on as a GET.
 */

import { isRegistryAuthError } from '@reg/core';
import { describe, expect } from 'vitest';
import { type Answer, echo, echoed, isNetworkError, ours, reasonOf, type Stage, wpt } from './wpt-stage.ts';

const statuses = [301, 302, 303, 307, 308] as const;

/** A server that redirects to `location` but at `/v2/there`, where it says what arrives. */
const redirecting =
  (status: number, location: string | null): Answer =>
  (request, response) => {
    if (request.url?.startsWith('/v2/there')) return echo(request, response);
    request.resume();
    return response.writeHead(status, location === null ? {} : { Location: location }).end('redirect');
  };

/** A request with an `Authorization` of the caller's own is answered for by the caller: no challenge is met for it. */
const unchallenged = ['platform', 'open'] as const;

/** Two servers, of which the first redirects to the second. */
async function across(
  { serve }: Stage,
  status: number,
): Promise<{ readonly url: string; readonly there: string }> {
  const there = `${await serve(echo)}there`;
  return { url: await serve(redirecting(status, there)), there };
}

const location = 'fetch/api/redirect/redirect-location.any.js';

for (const status of statuses) {
  wpt(location, `Redirect ${status} in "follow" mode without location`, async ({ fetch, serve }) => {
    const response = await fetch(await serve(redirecting(status, null)));
    expect([response.status, response.redirected, await response.text()]).toEqual([
      status,
      false,
      'redirect',
    ]);
  });

  wpt(location, `Redirect ${status} in "manual" mode without location`, async ({ fetch, serve }) => {
    const response = await fetch(await serve(redirecting(status, null)), { redirect: 'manual' });
    expect([response.status, await response.text()]).toEqual([status, 'redirect']);
  });

  for (const [name, target] of [
    ['valid', 'there'],
    ['invalid', 'http://:not a URL'],
    ['data:', 'data:text/plain,x'],
  ] as const) {
    wpt(location, `Redirect ${status} in "manual" mode with ${name} location`, async ({ fetch, serve }) => {
      const url = await serve(redirecting(status, target));
      const response = await fetch(url, { redirect: 'manual' });
      expect([response.status, response.url, response.redirected]).toEqual([status, url, false]);
      expect(response.headers.get('location')).toBe(target);
    });
  }

  for (const target of [
    'http://:not a URL',
    'data:text/plain,x',
    'about:blank',
    'mailto:a@b.com',
    'javascript:alert(1)',
    'file:///etc/hosts',
    'blob:null/x',
    'ftp://127.0.0.1/',
  ]) {
    wpt(
      target.startsWith('data:')
        ? 'fetch/api/redirect/redirect-to-dataurl.any.js'
        : 'fetch/api/redirect/redirect-schemes.any.js',
      `Redirect ${status} in "follow" mode to ${target}`,
      async ({ fetch, serve }) => isNetworkError(fetch(await serve(redirecting(status, target)))),
    );
  }

  const mode = 'fetch/api/redirect/redirect-mode.any.js';

  wpt(mode, `same-origin redirect ${status} in follow redirect`, async ({ fetch, serve }) => {
    const url = await serve(redirecting(status, 'there?a=b#c'));
    const response = await fetch(url);
    expect(response).toMatchObject({ status: 200, redirected: true, url: `${url}there?a=b`, type: 'basic' });
    expect((await echoed(response)).url).toBe('/v2/there?a=b');
  });

  wpt(mode, `cross-origin redirect ${status} in follow redirect`, async (stage) => {
    const { url, there } = await across(stage, status);
    const response = await stage.fetch(url);
    expect(response).toMatchObject({ status: 200, redirected: true, url: there });
    await response.text();
  });

  wpt(mode, `same-origin redirect ${status} in error redirect`, async ({ fetch, serve }) => {
    let there = 0;
    const url = await serve((request, response) => {
      if (request.url !== '/v2/') there += 1;
      return redirecting(status, 'there')(request, response);
    });
    for (const init of [{}, { signal: new AbortController().signal }]) {
      expect(await reasonOf(fetch(url, { redirect: 'error', ...init }))).toBeInstanceOf(TypeError);
    }
    expect(await reasonOf(fetch(new Request(url, { redirect: 'error' })))).toBeInstanceOf(TypeError);
    expect(there).toBe(0);
  });

  wpt(mode, `cross-origin redirect ${status} in manual redirect, by a Request`, async (stage) => {
    const { url, there } = await across(stage, status);
    const response = await stage.fetch(new Request(url, { redirect: 'manual' }));
    expect([response.status, response.url]).toEqual([status, url]);
    expect(response.headers.get('location')).toBe(there);
  });

  for (const method of ['GET', 'HEAD']) {
    const title = `Redirect ${status} with ${method}`;
    wpt('fetch/api/redirect/redirect-method.any.js', title, async ({ fetch, serve }) => {
      const arrived: unknown[] = [];
      const url = await serve((request, response) => {
        arrived.push([request.method, request.headers['x-a']]);
        return redirecting(status, 'there')(request, response);
      });
      const response = await fetch(url, { method, headers: { 'X-A': '1' } });
      expect([response.status, response.redirected]).toEqual([200, true]);
      expect(arrived).toEqual([
        [method, '1'],
        [method, '1'],
      ]);
      await response.text();
    });
  }
}

wpt(
  'fetch/api/redirect/redirect-method.any.js',
  'Response.redirected should be false on not-redirected responses',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(echo));
    expect(response.redirected).toBe(false);
  },
);

for (const status of [307, 308]) {
  for (const [name, body, type] of [
    ['string', 'this is my body', 'text/plain;charset=UTF-8'],
    ['blob', new Blob(['it’s me the blob!'], { type: 'text/x' }), 'text/x'],
    ['bytes', Buffer.from('bytes'), undefined],
    ['empty', '', 'text/plain;charset=UTF-8'],
  ] as const) {
    for (const method of ['POST', 'PUT', 'PATCH']) {
      const title = `Redirect ${status} with ${method} (${name} body)`;
      wpt('fetch/api/redirect/redirect-method.any.js', title, async ({ fetch, serve }) => {
        const url = await serve(redirecting(status, 'there'));
        const arrived = await echoed(await fetch(url, { method, body }));
        const expected = typeof body === 'string' ? body : await new Blob([body]).text();
        expect(Buffer.from(arrived.body, 'latin1').toString()).toBe(expected);
        expect([arrived.method, arrived.headers['content-type']]).toEqual([method, type]);
        expect(arrived.headers['content-length']).toBe(String(Buffer.byteLength(expected)));
      });
    }
  }

  wpt(
    'fetch/api/redirect/redirect-method.any.js',
    `Redirect ${status} with POST (body inside a Request)`,
    async ({ fetch, serve }) => {
      const url = await serve(redirecting(status, 'there'));
      const request = new Request(url, { method: 'POST', body: 'this is my body' });
      expect(await echoed(await fetch(request))).toMatchObject({ method: 'POST', body: 'this is my body' });
    },
  );

  wpt(
    'fetch/api/redirect/redirect-method.any.js',
    `Redirect ${status} with DELETE`,
    async ({ fetch, serve }) => {
      const url = await serve(redirecting(status, 'there'));
      expect((await echoed(await fetch(url, { method: 'DELETE' }))).method).toBe('DELETE');
    },
  );
}

wpt('fetch/api/redirect/redirect-count.any.js', 'Redirect 307 five times', async ({ fetch, serve }) => {
  const url = await serve(counting);
  const response = await fetch(`${url}5`);
  expect([response.url, response.redirected, await response.text()]).toEqual([`${url}0`, true, 'there']);
});

/** `/v2/n` redirects n times. */
const counting: Answer = (request, response) => {
  const left = Number(request.url?.slice('/v2/'.length));
  if (left === 0) return response.end('there');
  return response.writeHead(307, { Location: String(left - 1) }).end();
};

wpt('fetch/api/redirect/redirect-count.any.js', 'Redirect 307 without end', async ({ fetch, serve }) => {
  let arrived = 0;
  const url = await serve((_, response) => {
    arrived += 1;
    response.writeHead(307, { Location: `${arrived}` }).end();
  });
  await isNetworkError(fetch(url));
  expect(arrived).toBeLessThanOrEqual(21);
});

wpt(
  'fetch/api/redirect/redirect-back-to-original-origin.any.js',
  'original => remote => original',
  async (stage) => {
    let back = '';
    const away = await stage.serve((_, response) => response.writeHead(303, { Location: back }).end());
    const url = await stage.serve((request, response) =>
      request.url === '/v2/there'
        ? echo(request, response)
        : response.writeHead(303, { Location: away }).end(),
    );
    back = `${url}there`;
    const response = await stage.fetch(url, { headers: { Authorization: 'Basic YTpi' } });
    expect([response.url, response.redirected]).toEqual([back, true]);
    expect((await echoed(response)).headers['authorization']).toBe(undefined);
  },
  unchallenged,
);

for (const target of [
  'there?%f0%9f%98%80=%2F%41&a=b%20c',
  './x/../there',
  '//HOST/v2/there',
  '/v2/there;x=1',
]) {
  wpt(
    'fetch/api/redirect/redirect-location-escape.tentative.any.js',
    `Redirect to ${target}: as it stands (Q49)`,
    async ({ fetch, serve }) => {
      let host = '';
      const url = await serve((request, response) => {
        if (request.url?.startsWith('/v2/there')) return echo(request, response);
        return response.writeHead(302, { Location: target.replace('HOST', host) }).end();
      });
      host = new URL(url).host;
      const response = await fetch(url);
      const expected = new URL(target.replace('HOST', host), url);
      expect(response.url).toBe(expected.href);
      expect((await echoed(response)).url).toBe(expected.pathname + expected.search);
    },
  );
}

const authorization = 'fetch/api/credentials/authentication-redirection.any.js';
const headers = { Authorization: 'Basic dXNlcjpwYXNz', Cookie: 'a=b', 'X-Own': '1', Range: 'bytes=0-1' };

wpt(authorization, 'getAuthorizationHeaderValue - same origin redirection', async ({ fetch, serve }) => {
  const arrived = await echoed(await fetch(await serve(redirecting(302, 'there')), { headers }));
  expect(arrived.headers).toMatchObject({
    authorization: headers.Authorization,
    'x-own': '1',
    range: 'bytes=0-1',
  });
});

wpt(
  authorization,
  'getAuthorizationHeaderValue - cross origin redirection',
  async (stage) => {
    const { url } = await across(stage, 302);
    const arrived = await echoed(await stage.fetch(url, { headers }));
    expect(arrived.headers['authorization']).toBe(undefined);
    expect(arrived.headers['cookie']).toBe(undefined);
    expect(arrived.headers['range']).toBe('bytes=0-1');
  },
  unchallenged,
);

wpt(
  'fetch/api/redirect/redirect-upload.h2.any.js',
  'Fetch upload streaming should fail on 301, 302, 307 and 308: the 3xx, or an error',
  async ({ fetch, serve }) => {
    for (const status of [301, 302, 307, 308]) {
      let there = 0;
      const url = await serve((request, response) => {
        if (request.url !== '/v2/') there += 1;
        return redirecting(status, 'there')(request, response);
      });
      const body = new Blob(['x']).stream();
      const end = await fetch(url, { method: 'POST', body, duplex: 'half' }).catch((error: unknown) => error);
      expect(end instanceof TypeError || (end instanceof Response && end.status === status)).toBe(true);
      expect(there).toBe(0);
    }
  },
);

describe('stricter than fetch', () => {
  wpt(
    'fetch/api/redirect/redirect-count.any.js',
    'Redirect 307 six times: redirect-refused',
    async ({ fetch, serve }) => {
      const error = await reasonOf(fetch(`${await serve(counting)}6`));
      expect(isRegistryAuthError(error) && error.failure).toMatchObject({
        kind: 'redirect-refused',
        reason: 'hops',
      });
    },
    ours,
  );

  for (const status of [301, 302, 303] as const) {
    for (const body of ['text', undefined]) {
      const title = `Redirect ${status} with POST${body === undefined ? ' without body' : ''}: the 3xx is the caller’s`;
      wpt(
        'fetch/api/redirect/redirect-method.any.js',
        title,
        async ({ fetch, serve }) => {
          const url = await serve(redirecting(status, 'there'));
          const response = await fetch(url, { method: 'POST', ...(body === undefined ? {} : { body }) });
          expect([response.status, response.url, response.redirected]).toEqual([status, url, false]);
          expect([response.headers.get('location'), await response.text()]).toEqual(['there', 'redirect']);
        },
        ours,
      );
    }
  }

  wpt(
    'fetch/api/redirect/redirect-method.any.js',
    'cross-origin 307 with POST: the 3xx is the caller’s',
    async (stage) => {
      const { url, there } = await across(stage, 307);
      const response = await stage.fetch(url, { method: 'POST', body: 'text' });
      expect([response.status, response.headers.get('location')]).toEqual([307, there]);
    },
    ours,
  );

  wpt(
    'fetch/api/redirect/redirect-empty-location.any.js',
    'redirect response with empty Location, follow mode: as without one',
    async ({ fetch, serve }) => {
      const response = await fetch(await serve(redirecting(302, '')));
      expect([response.status, response.redirected]).toEqual([302, false]);
    },
    ours,
  );

  wpt(
    authorization,
    'cross origin redirection: what was set for the registry is not for another, but what names bytes',
    async (stage) => {
      const { url } = await across(stage, 302);
      const arrived = await echoed(await stage.fetch(url, { headers }));
      expect(arrived.headers['x-own']).toBe(undefined);
      expect(arrived.headers['range']).toBe('bytes=0-1');
    },
    ['open'],
  );
});
