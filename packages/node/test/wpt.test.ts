/**
 * Web Platform Tests, fetch/: the cases that mean something to a fetch for registries, written anew and by name. Aborts and
 * redirects have files of their own.
 *
 * What has no meaning here:
 *
 * | area | why |
 * |---|---|
 * | api/cors, orb, corb, private-network-access, local-network-access | there is no page whose origin could be protected |
 * | api/policies, api/basic/referrer, request-referrer*, origin/, api/redirect/redirect-referrer, redirect-origin | no referrer, no `Origin` |
 * | api/basic/mode-*, accept-header, request-forbidden-headers, sec-metadata/, fetch metadata | modes, destinations and the headers that only a browser writes |
 * | api/credentials/cookies* | no cookie is kept |
 * | api/request/request-cache-*, api/basic/conditional-get (its cache), http-cache/, stale-while-revalidate/ | no cache: composing one is forbidden |
 * | api/basic/integrity, api/basic/keepalive, request-keepalive*, redirect-keepalive, fetch-later/, priority | refused, or read and without effect |
 * | api/basic/scheme-*, data-urls/, redirect-to-dataurl's data: itself, range/data-and-blob | registries speak http and https |
 * | api/request/request-bad-port, port-blocking | a registry may have any port |
 * | api/abort/*serviceworker*, keepalive, api/*-worker, destination/, idl, *-realm, multi-globals, gc | no service worker, no other global; the classes are the platform's own |
 * | api/headers/headers-*, api/request/request-{structure,clone,consume*}, api/response/response-{static,init,idl}*, json | `Headers`, `Request` and `Response` are the platform's own: what is ours is what goes into them |
 * | api/basic/stream-safe-creation | a poisoned `Object.prototype` breaks Node's streams before ours |
 * | api/basic/status.h2, *.h2 | undici does not choose HTTP/2 by itself; http2.test.ts has it |
 */

import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { until } from './stage.ts';
import { type Answer, echo, echoed, isNetworkError, ours, reasonOf, wpt } from './wpt-stage.ts';

/** Answers with this. */
const says =
  (body: string | Uint8Array, headers: Record<string, string> = {}, status = 200): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

// fetch/api/basic

wpt('fetch/api/basic/request-head.any.js', 'Fetch with HEAD', async ({ fetch, serve }) => {
  let method: string | undefined;
  const url = await serve((request, response) => {
    method = request.method;
    return says('', { 'X-Method': 'HEAD', 'Content-Length': '5' })(request, response);
  });
  const response = await fetch(url, { method: 'HEAD' });
  expect([response.status, response.headers.get('content-length'), method]).toEqual([200, '5', 'HEAD']);
  expect(await response.text()).toBe('');
});

wpt('fetch/api/basic/request-head.any.js', 'Fetch with HEAD with body', async ({ fetch, serve }) => {
  const url = await serve(echo);
  expect(await reasonOf(fetch(url, { method: 'HEAD', body: 'x' }))).toBeInstanceOf(TypeError);
});

function form(): FormData {
  const data = new FormData();
  data.append('name', 'value');
  return data;
}

const text = 'text/plain;charset=UTF-8';
const urlencoded = 'application/x-www-form-urlencoded;charset=UTF-8';

/** Name, method, body, and the `Content-Length` and `Content-Type` that arrive. */
const requestHeaders: readonly (readonly [string, string, () => RequestInit['body'], string?, string?])[] = [
  ['GET', 'GET', () => null],
  ['HEAD', 'HEAD', () => null],
  ['PUT without body', 'PUT', () => null, '0'],
  ['PUT with body', 'PUT', () => 'Request’s body', '16', text],
  ['POST without body', 'POST', () => null, '0'],
  ['POST with text body', 'POST', () => 'Request’s body', '16', text],
  ['POST with URLSearchParams body', 'POST', () => new URLSearchParams('name=value'), '10', urlencoded],
  ['POST with Blob body', 'POST', () => new Blob(['Test']), '4'],
  ['POST with ArrayBuffer body', 'POST', () => new ArrayBuffer(4), '4'],
  ['POST with Uint8Array body', 'POST', () => new Uint8Array(4), '4'],
  ['POST with Int8Array body', 'POST', () => new Int8Array(4), '4'],
  ['POST with Float32Array body', 'POST', () => new Float32Array(1), '4'],
  ['POST with Float64Array body', 'POST', () => new Float64Array(1), '8'],
  ['POST with DataView body', 'POST', () => new DataView(new ArrayBuffer(8), 0, 4), '4'],
  [
    'POST with Blob body with mime type',
    'POST',
    () => new Blob(['Test'], { type: 'text/maybe' }),
    '4',
    'text/maybe',
  ],
  ['DELETE without body', 'DELETE', () => null],
  ['PATCH with empty body', 'PATCH', () => '', '0', text],
];

for (const [name, method, body, length, type] of requestHeaders) {
  wpt('fetch/api/basic/request-headers.any.js', `Fetch with ${name}`, async ({ fetch, serve }) => {
    let headers: Record<string, unknown> = {};
    const url = await serve((request, response) => {
      headers = request.headers;
      return echo(request, response);
    });
    await (await fetch(url, { method, body: body() ?? null })).text();
    expect(headers['content-length']).toBe(length);
    expect(headers['content-type']).toBe(type);
    expect(headers['accept']).toBe('*/*');
    expect(headers['origin']).toBe(undefined);
  });
}

wpt(
  'fetch/api/basic/request-headers.any.js',
  'Fetch with POST with FormData body',
  async ({ fetch, serve }) => {
    const { headers, body } = await echoed(await fetch(await serve(echo), { method: 'POST', body: form() }));
    expect(headers['content-type']).toMatch(/^multipart\/form-data; ?boundary=/);
    expect(headers['content-length']).toBe(String(body.length));
    expect(body).toContain('Content-Disposition: form-data; name="name"\r\n\r\nvalue');
  },
);

wpt(
  'fetch/api/basic/request-headers.any.js',
  'an explicit Content-Type stands, a method of another case than fetch’s own six is upper-cased',
  async ({ fetch, serve }) => {
    const headers = { 'Content-Type': 'application/x.y' };
    const answer = await fetch(await serve(echo), { method: 'put', body: 'x', headers });
    expect(await echoed(answer)).toMatchObject({
      method: 'PUT',
      headers: { 'content-type': 'application/x.y' },
    });
  },
);

wpt('fetch/api/basic/request-headers.any.js', 'Host is not the caller’s to set', async ({ fetch, serve }) => {
  const url = await serve(echo);
  const { headers } = await echoed(await fetch(url, { headers: { Host: 'other.example' } }));
  expect(headers['host']).toBe(new URL(url).host);
});

for (const [name, value] of [
  ['transfer-encoding', 'chunked'],
  ['expect', '100-continue'],
  ['content-length', '7'],
  ['upgrade', 'x'],
  ['keep-alive', 'x'],
] as const) {
  wpt(
    'fetch/api/request/request-headers.any.js',
    `${name} is undici’s to set: TypeError, and nothing is sent`,
    async ({ fetch, serve }) => {
      let arrived = 0;
      const url = await serve((request, response) => {
        arrived += 1;
        return echo(request, response);
      });
      const attempt = fetch(url, { method: 'PUT', body: 'x', headers: { [name]: value } });
      expect(await reasonOf(attempt)).toBeInstanceOf(TypeError);
      expect(arrived).toBe(0);
    },
  );
}

const uploads: readonly (readonly [string, () => unknown, string])[] = [
  ['text body', () => 'Request’s body', Buffer.from('Request’s body').toString('latin1')],
  ['URLSearchParams body', () => new URLSearchParams('name=value'), 'name=value'],
  ['Blob body', () => new Blob(['Test']), 'Test'],
  ['ArrayBuffer body', () => new ArrayBuffer(4), '\0\0\0\0'],
  ['Uint8Array body', () => new Uint8Array(4), '\0\0\0\0'],
  ['Int8Array body', () => new Int8Array(4), '\0\0\0\0'],
  ['Float32Array body', () => new Float32Array(1), '\0\0\0\0'],
  ['Float64Array body', () => new Float64Array(1), '\0\0\0\0\0\0\0\0'],
  ['DataView body', () => new DataView(new ArrayBuffer(8), 0, 4), '\0\0\0\0'],
  ['Blob body with mime type', () => new Blob(['Test'], { type: 'text/maybe' }), 'Test'],
  ['ReadableStream', () => streamOf(Buffer.from('Te'), new Uint8Array(), Buffer.from('st')), 'Test'],
  ['ReadableStream without a chunk', () => streamOf(), ''],
  ['byte ReadableStream', () => new Blob(['Test']).stream(), 'Test'],
  ['async iterable of bytes', () => iterable(Buffer.from('Te'), Buffer.from('st')), 'Test'],
  ['async iterable of text', () => iterable('Te', 'st'), 'Test'],
];

for (const [name, body, arrives] of uploads) {
  for (const method of ['POST', 'PUT', 'PATCH']) {
    const title = `Fetch with ${method} with ${name}`;
    wpt('fetch/api/basic/request-upload.any.js', title, async ({ fetch, serve }) => {
      const init: RequestInit = Object.fromEntries([
        ['method', method],
        ['body', body()],
        ['duplex', 'half'],
      ]);
      const answer = await fetch(await serve(echo), init);
      expect((await echoed(answer)).body).toBe(arrives);
    });
  }
}

for (const [name, chunk] of [
  ['String', 'Test'],
  ['null', null],
  ['number', 99],
  ['ArrayBuffer', new ArrayBuffer(1)],
  ['Blob', new Blob([])],
] as const) {
  const title = `Fetch with POST with ReadableStream containing ${name}`;
  wpt(
    'fetch/api/basic/request-upload.any.js',
    title,
    async ({ fetch, serve }) => {
      const url = await serve(echo);
      const attempt = fetch(url, { method: 'POST', body: streamOf(chunk), duplex: 'half' });
      expect(await reasonOf(attempt)).toBeInstanceOf(TypeError);
      const within = new Request(url, { method: 'POST', body: streamOf(chunk), duplex: 'half' });
      expect(await reasonOf(fetch(within))).toBeInstanceOf(TypeError);
    },
    ours,
  );
}

wpt(
  'fetch/api/basic/request-upload.any.js',
  'a stream that errors is the cause of a TypeError',
  async ({ fetch, serve }) => {
    const error = new Error('disk on fire');
    const body = new ReadableStream({ pull: (controller) => controller.error(error) });
    const attempt = fetch(await serve(echo), { method: 'POST', body, duplex: 'half' });
    expect(await reasonOf(attempt)).toMatchObject({
      name: 'TypeError',
      message: 'fetch failed',
      cause: error,
    });
  },
);

wpt(
  'fetch/api/basic/request-upload.any.js',
  'Fetch with POST with text body on 421 response should be retried once on new connection: left to the caller',
  async ({ fetch, serve }) => {
    let arrived = 0;
    const url = await serve((_, response) => {
      arrived += 1;
      response.writeHead(421).end();
    });
    expect((await fetch(url, { method: 'POST', body: 'foobar' })).status).toBe(421);
    expect(arrived).toBe(1);
  },
  ours,
);

wpt(
  'fetch/api/basic/http-response-code.any.js',
  'Fetch on 425 response should not be retried for non TLS early data.',
  async ({ fetch, serve }) => {
    let arrived = 0;
    const url = await serve((_, response) => {
      arrived += 1;
      response.writeHead(425).end();
    });
    expect((await fetch(url)).status).toBe(425);
    expect(arrived).toBe(1);
  },
);

for (const suffix of ['ada', 'ada#', 'ada#a', 'ada?a=b', 'ada?a=b#c', '%41/./b/../c', 'ü']) {
  wpt(
    'fetch/api/basic/response-url.sub.any.js',
    `Testing response url getter with ${suffix}`,
    async ({ fetch, serve }) => {
      const target = new URL(suffix, await serve(echo)).href;
      const response = await fetch(target);
      expect(response.url).toBe(target.split('#', 1)[0]);
      expect(new URL((await echoed(response)).url, target).href).toBe(response.url);
    },
  );
}

for (const status of [200, 210, 302, 400, 404, 410, 418, 500, 502, 599]) {
  wpt('fetch/api/basic/status.any.js', `statusText and body of ${status}`, async ({ fetch, serve }) => {
    const url = await serve((_, response) => response.writeHead(status, 'HMM WELL').end('body'));
    const response = await fetch(url);
    expect([response.status, response.statusText, response.ok]).toEqual([status, 'HMM WELL', status < 300]);
    expect([response.type, response.redirected, await response.text()]).toEqual(['basic', false, 'body']);
  });
}

const utf8: readonly (readonly [string, readonly number[], string])[] = [
  ['UTF-8 without BOM', [0xe4, 0xb8, 0x89], '三'],
  ['UTF-8 with BOM decoded as UTF-8', [0xef, 0xbb, 0xbf, 0xe4, 0xb8, 0x89], '三'],
  ['UTF-16BE BOM to decode as UTF-8', [0xfe, 0xff, 0x4e, 0x09], '\ufffd\ufffdN\t'],
  ['UTF-16LE BOM to decode as UTF-8', [0xff, 0xfe, 0x09, 0x4e], '\ufffd\ufffd\tN'],
  ['an unfinished sequence', [0x61, 0xe4, 0xb8], 'a\ufffd'],
];

for (const [name, bytes, decoded] of utf8) {
  wpt('fetch/api/basic/text-utf8.any.js', name, async ({ fetch, serve }) => {
    const url = await serve(says(Uint8Array.from(bytes), { 'Content-Type': 'text/plain; charset=utf-16' }));
    expect(await (await fetch(url)).text()).toBe(decoded);
  });
}

for (const type of ['text/plain', null]) {
  const title = `Stream response's body when content-type is ${type === null ? 'not ' : ''}present`;
  wpt('fetch/api/basic/stream-response.any.js', title, async ({ fetch, serve }) => {
    const trickle: Answer = (_, response) => {
      if (type !== null) response.setHeader('Content-Type', type);
      let rest = 5;
      const next = (): void => {
        rest -= 1;
        if (rest === 0) response.end('TEST_TRICKLE\n');
        else response.write('TEST_TRICKLE\n', () => setImmediate(next));
      };
      next();
    };
    const response = await fetch(await serve(trickle));
    let received = '';
    for await (const chunk of response.body ?? []) {
      expect(chunk).toBeInstanceOf(Uint8Array);
      received += Buffer.from(chunk);
    }
    expect(received).toBe('TEST_TRICKLE\n'.repeat(5));
  });
}

for (const status of [204, 205, 304]) {
  for (const method of ['GET', 'HEAD', 'PUT']) {
    const title = `Response.body is null for responses with status=${status} (method=${method})`;
    wpt('fetch/api/basic/response-null-body.any.js', title, async ({ fetch, serve }) => {
      const response = await fetch(await serve((_, answer) => answer.writeHead(status).end()), { method });
      expect([response.status, response.body, await response.text()]).toEqual([status, null, '']);
    });
  }
}

wpt(
  'fetch/api/basic/response-null-body.any.js',
  'Response.body is null for responses with method=HEAD',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('')), { method: 'HEAD' });
    expect(response.body).toBe(null);
  },
);

wpt(
  'fetch/api/basic/conditional-get.any.js',
  'Testing conditional GET with ETags: 304 is the caller’s',
  async ({ fetch, serve }) => {
    const url = await serve((request, response) => {
      response.setHeader('ETag', '"some-etag"');
      response.statusCode = request.headers['if-none-match'] === '"some-etag"' ? 304 : 200;
      response.end();
    });
    const first = await fetch(url);
    const etag = first.headers.get('etag') ?? '';
    expect((await fetch(url, { headers: { 'If-None-Match': etag } })).status).toBe(304);
  },
);

for (const what of ['read() promise', 'closed promise'] as const) {
  const title = `Response reader ${what} should reject after a network error happening after resolving fetch promise`;
  wpt('fetch/api/basic/error-after-response.any.js', title, async ({ fetch, serve }) => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('begun', () => setImmediate(() => response.destroy()));
    });
    const reader = (await fetch(url)).body?.getReader();
    const read = async (): Promise<void> => {
      while (!(await reader?.read())?.done);
    };
    const attempt = what === 'closed promise' ? (reader?.closed ?? Promise.resolve()) : read();
    expect(await reasonOf(attempt)).toBeInstanceOf(TypeError);
  });
}

wpt(
  'fetch/api/basic/header-value-combining.any.js',
  'response.headers.get of repeated fields',
  async ({ fetch, serve }) => {
    const url = await serve((_, response) => {
      response.setHeader('foo-test', ['1', '2', '3']);
      response.setHeader('empty-test', ['', '2', '']);
      response.setHeader('comma-test', ['"a, b"', 'c']);
      response.end();
    });
    const { headers } = await fetch(url);
    expect(headers.get('foo-test')).toBe('1, 2, 3');
    expect(headers.get('empty-test')).toBe(', 2, ');
    expect(headers.get('comma-test')).toBe('"a, b", c');
  },
);

// fetch/api/body

const cloned: readonly (readonly [string, () => readonly [RequestInit['body'], Uint8Array]])[] = [
  [
    'ArrayBuffer is cloned',
    () => {
      const bytes = new Uint8Array([65, 65]);
      return [bytes.buffer, bytes];
    },
  ],
  [
    'TypedArray is cloned',
    () => {
      const bytes = new Uint8Array([65, 65]);
      return [bytes, bytes];
    },
  ],
  [
    'DataView is cloned',
    () => {
      const bytes = new Uint8Array([65, 65]);
      return [new DataView(bytes.buffer), bytes];
    },
  ],
];

for (const [name, make] of cloned) {
  wpt('fetch/api/body/cloned-any.js', name, async ({ fetch, serve }) => {
    const [body, bytes] = make();
    const attempt = fetch(await serve(echo), { method: 'POST', body: body ?? null });
    bytes.fill(66);
    expect((await echoed(await attempt)).body).toBe('AA');
  });
}

wpt('fetch/api/body/cloned-any.js', 'URLSearchParams and FormData are cloned', async ({ fetch, serve }) => {
  const params = new URLSearchParams('a=1');
  const data = form();
  const url = await serve(echo);
  const attempts = [params, data].map((body) => fetch(url, { method: 'POST', body }));
  params.append('b', '2');
  data.append('more', 'value');
  const [first, second] = await Promise.all(
    attempts.map(async (attempt) => (await echoed(await attempt)).body),
  );
  expect(first).toBe('a=1');
  expect(second).not.toContain('more');
});

const multipart =
  '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\nContent-Type: text/x\r\n\r\nfile\r\n--b--\r\n';

wpt(
  'fetch/api/body/formdata.any.js',
  'Consume multipart and urlencoded answers as FormData',
  async ({ fetch, serve }) => {
    const url = await serve(says(multipart, { 'Content-Type': 'multipart/form-data; boundary=b' }));
    const data = await (await fetch(url)).formData();
    expect(data.get('a')).toBe('1');
    const file = data.get('f');
    expect(file instanceof File && [file.name, file.type, await file.text()]).toEqual([
      'n',
      'text/x',
      'file',
    ]);
    const encoded = await serve(says('a=1&b=%20', { 'Content-Type': 'application/x-www-form-urlencoded' }));
    expect([...(await (await fetch(encoded)).formData())]).toEqual([
      ['a', '1'],
      ['b', ' '],
    ]);
  },
);

wpt(
  'fetch/api/body/formdata.any.js',
  'Consume what is no form as FormData: TypeError',
  async ({ fetch, serve }) => {
    for (const answer of [
      says('a=1', { 'Content-Type': 'text/plain' }),
      says('a=1'),
      says('nothing of the kind', { 'Content-Type': 'multipart/form-data; boundary=b' }),
    ]) {
      const response = await fetch(await serve(answer));
      expect(await reasonOf(response.formData())).toBeInstanceOf(TypeError);
    }
  },
);

for (const [given, type] of [
  ['text/plain', 'text/plain'],
  ['Text/Plain; Charset=UTF-8', 'text/plain;charset=utf-8'],
  ['no type', ''],
  [null, ''],
] as const) {
  wpt(
    'fetch/api/body/mime-type.any.js',
    `Response: the type of its Blob for Content-Type ${given}`,
    async ({ fetch, serve }) => {
      const url = await serve(says('x', given === null ? {} : { 'Content-Type': given }));
      const blob = await (await fetch(url)).blob();
      expect([blob.type, blob.size]).toEqual([type, 1]);
    },
  );
}

wpt(
  'fetch/api/body/mime-type.any.js',
  'Request: overriding explicit Content-Type with the body’s own only where there is none',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const body = new Blob(['x'], { type: 'text/x' });
    for (const [headers, type] of [
      [{}, 'text/x'],
      [{ 'Content-Type': 'text/y' }, 'text/y'],
    ] as const) {
      const request = new Request(url, { method: 'POST', body, headers });
      expect((await echoed(await fetch(request))).headers['content-type']).toBe(type);
      expect(
        (await echoed(await fetch(url, { method: 'POST', body, headers }))).headers['content-type'],
      ).toBe(type);
    }
  },
);

// fetch/api/headers

wpt('fetch/api/headers/header-values.any.js', 'fetch with all valid values', async ({ fetch, serve }) => {
  const value = String.fromCharCode(...range(0x21, 0x7e), ...range(0x80, 0xff), 0x09, 0x61);
  const { headers } = await echoed(await fetch(await serve(echo), { headers: { val1: value } }));
  expect(headers['val1']).toBe(value);
});

for (const unit of [0x00, 0x0a, 0x0d, 0x100, 0xd800]) {
  wpt(
    'fetch/api/headers/header-values.any.js',
    `fetch with value x${unit.toString(16)}x throws`,
    async ({ fetch, serve }) => {
      const headers = { val1: `x${String.fromCharCode(unit)}x` };
      expect(await reasonOf(fetch(await serve(echo), { headers }))).toBeInstanceOf(TypeError);
    },
  );
}

for (const value of ['', ' ', '\t', ' x', 'x ', '\tx\t', ' \t x \t ', '\r\nx\r\n']) {
  wpt(
    'fetch/api/headers/header-values-normalize.any.js',
    `fetch() with value ${encodeURI(value)}`,
    async ({ fetch, serve }) => {
      const { headers } = await echoed(await fetch(await serve(echo), { headers: { val1: value } }));
      expect(headers['val1']).toBe(value.trim());
    },
  );
}

wpt(
  'fetch/api/headers/header-setcookie.any.js',
  'Set-Cookie of a response, each by itself',
  async ({ fetch, serve }) => {
    const url = await serve((_, response) => {
      response.setHeader('Set-Cookie', ['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'b=2', '']);
      response.end();
    });
    const { headers } = await fetch(url);
    expect(headers.getSetCookie()).toEqual(['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'b=2', '']);
    expect([...headers].filter(([name]) => name === 'set-cookie')).toHaveLength(3);
  },
);

wpt(
  'fetch/api/response/response-headers-guard.any.js',
  'Ensure response headers are immutable',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('x', { 'X-A': '1' })));
    for (const { headers } of [response.clone(), response]) {
      expect(() => headers.set('x-a', '2')).toThrow(TypeError);
      expect(() => headers.append('x-b', '2')).toThrow(TypeError);
      expect(() => headers.delete('x-a')).toThrow(TypeError);
      expect([headers.get('x-a'), headers.get('x-b')]).toEqual(['1', null]);
    }
    const own = new Response(response.body, response);
    own.headers.set('x-a', '2');
    expect(own.headers.get('x-a')).toBe('2');
  },
);

// fetch/api/request

wpt(
  'fetch/api/request/request-init-002.any.js',
  'a Request’s method, headers and body, each overridden by init',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const request = () =>
      new Request(url, { method: 'POST', body: 'one', headers: { 'X-A': '1', 'X-B': '1' } });
    expect(await echoed(await fetch(request()))).toMatchObject({
      method: 'POST',
      body: 'one',
      headers: { 'x-a': '1', 'x-b': '1', 'content-type': text, 'content-length': '3' },
    });
    expect(
      await echoed(await fetch(request(), { method: 'PUT', body: 'two', headers: { 'X-C': '1' } })),
    ).toMatchObject({
      method: 'PUT',
      body: 'two',
      headers: { 'x-c': '1' },
    });
    const { headers } = await echoed(await fetch(request(), { headers: {} }));
    expect([headers['x-a'], headers['x-c']]).toEqual([undefined, undefined]);
    expect((await echoed(await fetch(request(), { body: null }))).body).toBe('one');
  },
);

wpt(
  'fetch/api/request/request-init-003.sub.any.js',
  'Check request values when initialized from a Request that stands for init',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const init = new Request('http://registry.invalid/', {
      method: 'PUT',
      body: 'hey',
      headers: { 'X-A': '1' },
      redirect: 'manual',
    });
    expect(await echoed(await fetch(url, init))).toMatchObject({
      method: 'PUT',
      body: 'hey',
      headers: { 'x-a': '1' },
    });
    expect(init.bodyUsed).toBe(true);
  },
);

wpt(
  'fetch/api/request/request-init-003.sub.any.js',
  'an init that is frozen, null or missing',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const { signal } = new AbortController();
    const frozen = Object.freeze({ method: 'PUT', body: 'hey', signal });
    expect(await echoed(await fetch(url, frozen))).toMatchObject({ method: 'PUT', body: 'hey' });
    for (const init of [undefined, JSON.parse('null')]) {
      expect((await echoed(await fetch(new Request(url, { method: 'PUT' }), init))).method).toBe('PUT');
    }
  },
);

wpt(
  'fetch/api/request/request-init-003.sub.any.js',
  'members that init inherits count',
  async ({ fetch, serve }) => {
    const init: RequestInit = Object.create({ method: 'PUT', body: 'hey' });
    expect(await echoed(await fetch(await serve(echo), init))).toMatchObject({ method: 'PUT', body: 'hey' });
  },
);

wpt(
  'fetch/api/request/request-disturbed.any.js',
  'fetch of a Request that was used',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const request = new Request(url, { method: 'POST', body: 'x' });
    await (await fetch(request)).text();
    expect(request.bodyUsed).toBe(true);
    expect(await reasonOf(fetch(request))).toBeInstanceOf(TypeError);
    const read = new Request(url, { method: 'POST', body: 'x' });
    await read.text();
    expect(await reasonOf(fetch(read))).toBeInstanceOf(TypeError);
  },
);

wpt(
  'fetch/api/request/request-disturbed.any.js',
  'a Request without a body can be used again, and one that was cloned',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const bare = new Request(url);
    for (let i = 0; i < 2; i++) expect((await echoed(await fetch(bare))).method).toBe('GET');
    const request = new Request(url, { method: 'POST', body: 'x' });
    const clone = request.clone();
    for (const one of [request, clone]) expect((await echoed(await fetch(one))).body).toBe('x');
  },
);

wpt(
  'fetch/api/request/request-init-stream.any.js',
  'a stream that is locked or was read from is refused',
  async ({ fetch, serve }) => {
    const url = await serve(echo);
    const locked = streamOf(Buffer.from('x'));
    locked.getReader();
    const disturbed = streamOf(Buffer.from('x'));
    const reader = disturbed.getReader();
    await reader.read();
    reader.releaseLock();
    for (const body of [locked, disturbed]) {
      expect(await reasonOf(fetch(url, { method: 'POST', body, duplex: 'half' }))).toBeInstanceOf(TypeError);
    }
  },
);

wpt(
  'fetch/api/request/request-init-stream.any.js',
  'It is error to omit .duplex when the body is a ReadableStream.',
  async ({ fetch, serve }) => {
    const attempt = fetch(await serve(echo), { method: 'POST', body: streamOf(Buffer.from('x')) });
    expect(await reasonOf(attempt)).toBeInstanceOf(TypeError);
  },
);

wpt(
  'fetch/api/request/request-constructor-init-body-override.any.js',
  'the body of a Request made of another, overridden',
  async ({ fetch, serve }) => {
    const first = new Request(await serve(echo), {
      method: 'POST',
      body: 'one',
      headers: { 'Content-Type': 'text/one' },
    });
    const second = new Request(first, { body: new URLSearchParams('two=2') });
    expect(await echoed(await fetch(second))).toMatchObject({
      body: 'two=2',
      headers: { 'content-type': 'text/one' },
    });
    expect(first.bodyUsed).toBe(false);
    expect((await echoed(await fetch(first))).body).toBe('one');
  },
);

// fetch/api/response

wpt(
  'fetch/api/response/response-clone.any.js',
  'Cloned responses should provide the same data',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('some text', { 'X-A': '1' })));
    const clone = response.clone();
    expect(clone).toMatchObject({
      status: 200,
      statusText: 'OK',
      ok: true,
      url: response.url,
      type: 'basic',
      redirected: false,
    });
    expect([...clone.headers]).toEqual([...response.headers]);
    expect(await response.text()).toBe('some text');
    expect([clone.bodyUsed, await clone.text(), clone.bodyUsed]).toEqual([false, 'some text', true]);
  },
);

wpt(
  'fetch/api/response/response-clone.any.js',
  'Cancelling stream should not affect cloned one',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('some text')));
    const clone = response.clone();
    await Promise.all([response.body?.cancel(), expect(clone.text()).resolves.toBe('some text')]);
  },
);

wpt(
  'fetch/api/response/response-clone.any.js',
  'Check that a used response cannot be cloned',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('some text')));
    await response.text();
    expect(() => response.clone()).toThrow(TypeError);
    const locked = await fetch(await serve(says('some text')));
    locked.body?.getReader();
    expect(() => locked.clone()).toThrow(TypeError);
  },
);

for (const mode of [undefined, 'byob'] as const) {
  const title = `Read text response's body as readableStream with mode=${mode}`;
  wpt('fetch/api/response/response-consume-stream.any.js', title, async ({ fetch, serve }) => {
    const { body } = await fetch(await serve(says('This is response’s body')));
    let received = Buffer.alloc(0);
    if (mode === 'byob') {
      const reader = body?.getReader({ mode });
      for (;;) {
        const { done, value } = (await reader?.read(new Uint8Array(4))) ?? { done: true, value: undefined };
        if (done) break;
        received = Buffer.concat([received, value]);
      }
    } else {
      for await (const chunk of body ?? []) received = Buffer.concat([received, chunk]);
    }
    expect(received.toString()).toBe('This is response’s body');
  });

  wpt(
    'fetch/api/response/response-consume-stream.any.js',
    `Read empty response's body as readableStream with mode=${mode}`,
    async ({ fetch, serve }) => {
      for (const answer of [
        says(''),
        (_: unknown, response: Parameters<Answer>[1]) => {
          response.flushHeaders();
          response.end();
        },
      ]) {
        const { body } = await fetch(await serve(answer));
        const reader = mode === 'byob' ? body?.getReader({ mode }) : body?.getReader();
        expect((await reader?.read(new Uint8Array(4)))?.done).toBe(true);
      }
    },
  );
}

wpt(
  'fetch/api/response/response-consume-empty.any.js',
  'Consume an empty response’s body',
  async ({ fetch, serve }) => {
    const url = await serve(says(''));
    expect(await (await fetch(url)).text()).toBe('');
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(0);
    expect((await (await fetch(url)).blob()).size).toBe(0);
    expect(await reasonOf((await fetch(url)).json())).toBeInstanceOf(SyntaxError);
  },
);

for (const when of ['starting', 'loading', 'closed'] as const) {
  wpt(
    'fetch/api/response/response-cancel-stream.any.js',
    `Cancelling a ${when} Response stream`,
    async ({ fetch, serve }) => {
      let closed = false;
      const url = await serve((_, response) => {
        response.on('close', () => {
          closed = true;
        });
        if (when === 'closed') response.end('x');
        else response.write('x');
      });
      const { body } = await fetch(url);
      const reader = body?.getReader();
      if (when !== 'starting') await reader?.read();
      if (when === 'closed') expect((await reader?.read())?.done).toBe(true);
      await reader?.cancel();
      await reader?.closed;
      await until(() => closed);
    },
  );
}

wpt(
  'fetch/api/response/response-stream-disturbed-6.any.js',
  'bodyUsed, and what a response that is locked or disturbed refuses',
  async ({ fetch, serve }) => {
    const url = await serve(says('some text'));
    const response = await fetch(url);
    const reader = response.body?.getReader();
    expect(response.bodyUsed).toBe(false);
    expect(await reasonOf(response.text())).toBeInstanceOf(TypeError);
    await reader?.read();
    expect(response.bodyUsed).toBe(true);
    reader?.releaseLock();
    expect(await reasonOf(response.text())).toBeInstanceOf(TypeError);
    const cancelled = await fetch(url);
    await cancelled.body?.cancel();
    expect([cancelled.bodyUsed, (await reasonOf(cancelled.text())) instanceof TypeError]).toEqual([
      true,
      true,
    ]);
  },
);

wpt(
  'fetch/api/response/response-stream-disturbed-by-pipe.any.js',
  'using pipeTo on Response body should disturb it synchronously',
  async ({ fetch, serve }) => {
    const response = await fetch(await serve(says('some text')));
    let received = '';
    const piped = response.body?.pipeTo(
      new WritableStream({
        write(chunk) {
          received += Buffer.from(chunk);
        },
      }),
    );
    expect([response.bodyUsed, response.body?.locked]).toEqual([true, true]);
    await piped;
    expect(received).toBe('some text');
  },
);

// fetch/api/credentials

for (const credentials of ['include', 'same-origin', 'omit'] as const) {
  wpt(
    'fetch/api/credentials/authentication-basic.any.js',
    `User-added Authorization header with ${credentials} mode`,
    async ({ fetch, serve }) => {
      const headers = { Authorization: 'Basic dXNlcjpwYXNzd29yZA==' };
      const arrived = await echoed(await fetch(await serve(echo), { headers, credentials }));
      expect(arrived.headers['authorization']).toBe(headers.Authorization);
    },
  );
}

// fetch/content-encoding

for (const [coding, encode] of [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const) {
  for (const type of ['text/plain', 'application/octet-stream']) {
    const title = `fetched ${coding} content with content type ${type} should be decompressed.`;
    wpt(`fetch/content-encoding/${coding}/${coding}-body.any.js`, title, async ({ fetch, serve }) => {
      const body = encode('some text');
      const response = await fetch(
        await serve(says(body, { 'Content-Encoding': coding, 'Content-Type': type })),
      );
      expect(response.headers.get('content-encoding')).toBe(coding);
      expect(await response.text()).toBe('some text');
    });
  }

  const file = `fetch/content-encoding/${coding}/bad-${coding}-body.any.js`;
  wpt(
    file,
    `Fetching a resource with bad ${coding} content should still resolve`,
    async ({ fetch, serve }) => {
      const response = await fetch(await serve(says('no such thing', { 'Content-Encoding': coding })));
      expect([response.ok, response.headers.get('content-encoding')]).toEqual([true, coding]);
      await reasonOf(response.text());
    },
  );

  for (const method of ['arrayBuffer', 'blob', 'bytes', 'json', 'text'] as const) {
    const title = `Consuming the body of a resource with bad ${coding} content with ${method}() should reject`;
    wpt(file, title, async ({ fetch, serve }) => {
      const response = await fetch(await serve(says('no such thing', { 'Content-Encoding': coding })));
      expect(await reasonOf(response[method]())).toBeInstanceOf(TypeError);
    });
  }
}

// fetch/content-length, fetch/h1-parsing: see hostile answers in fetch-hostile.test.ts

wpt(
  'fetch/content-length/too-long.window.js',
  'Content-Length header value of network response exceeds response body',
  async ({ fetch, serve }) => {
    const url = await serve((request) => {
      request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nABC');
    });
    const response = await fetch(url);
    expect(response.headers.get('content-length')).toBe('1000');
    expect(await reasonOf(response.text())).toBeInstanceOf(TypeError);
  },
);

for (const [input, expected] of [
  ['HTTP/1.1 200 OKAY', [200, 'OKAY']],
  ['HTTP/1.1 200', [200, '']],
  ['HTTP/1.1 299 Ok  two', [299, 'Ok  two']],
  ['HTTP/1.1 99', null],
  ['HTTP/1.1 1000 x', null],
  ['HTTP/1.1 0 x', null],
  ['HTTP/1.1 x', null],
  ['HTTP/9.9 200 x', null],
  ['nonsense', null],
] as const) {
  wpt(
    'fetch/h1-parsing/status-code.window.js',
    `HTTP/1.1 response status line: ${input}`,
    async ({ fetch, serve }) => {
      const url = await serve((request) => request.socket.end(`${input}\r\nContent-Length: 0\r\n\r\n`));
      if (expected === null) return isNetworkError(fetch(url));
      const response = await fetch(url);
      expect([response.status, response.statusText]).toEqual(expected);
      await response.text();
    },
  );
}

for (const line of ['X-A: a\0b', 'X\0A: b', 'X-A: a\x01b', 'X A: b', ': b', 'X-A b', 'X-A: a\r\n b']) {
  wpt(
    'fetch/h1-parsing/resources-with-0x00-in-header.window.js',
    `Expect network error for ${JSON.stringify(line)}`,
    async ({ fetch, serve }) => {
      const url = await serve((request) =>
        request.socket.end(`HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 0\r\n\r\n`),
      );
      await isNetworkError(fetch(url));
    },
  );
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function streamOf(...chunks: readonly unknown[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function* iterable<T>(...chunks: readonly T[]): AsyncGenerator<T> {
  yield* chunks;
}
