/** Web Platform Tests, fetch/api/abort: an abort at any moment, and what is left behind. */

import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import { until } from './stage.ts';
import { type Answer, aborting, isNetworkError, ours, reasonOf, type Stage, wpt } from './wpt-stage.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const general = 'fetch/api/abort/general.any.js';

const data: Answer = (_, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end('{"key":"value"}');
};

/** Sends a beginning and nothing more. Tells when its connection is gone. */
function endless(): {
  readonly answer: Answer;
  readonly closed: () => boolean;
  readonly begun: () => number;
} {
  let closed = false;
  let begun = 0;
  return {
    answer: (_, response) => {
      begun += 1;
      response.on('close', () => {
        closed = true;
      });
      response.write('x'.repeat(2_048));
    },
    closed: () => closed,
    begun: () => begun,
  };
}

const isAbortError = (error: unknown): void => {
  expect(error).toBeInstanceOf(DOMException);
  expect(error).toMatchObject({ name: 'AbortError' });
};

wpt(general, 'Aborting rejects with AbortError', async ({ fetch, serve }) => {
  const url = await serve(data);
  isAbortError(await reasonOf(fetch(url, { signal: AbortSignal.abort() })));
});

for (const reason of [new Error('error1'), 'text', 0, null]) {
  wpt(general, `Aborting rejects with abort reason: ${reason}`, async ({ fetch, serve }) => {
    const url = await serve(data);
    const signal = AbortSignal.abort(reason);
    expect(await reasonOf(fetch(url, { signal }))).toBe(signal.reason);
  });

  wpt(general, `Aborting a running fetch rejects with abort reason: ${reason}`, async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const url = await serve(() => abort(reason));
    expect(await reasonOf(fetch(url, { signal }))).toBe(signal.reason);
  });
}

/** Arguments that the constructor of `Request` refuses, by WPT's own names for them (request/request-error.js). */
const refused: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ['RequestInit’s window is not null', '', { window: 'http://test.invalid' }],
  ['Input URL is not valid', 'http://:not a valid URL', {}],
  ['Input URL has credentials', 'http://user:pass@test.invalid', {}],
  ['RequestInit’s mode is navigate', '', { mode: 'navigate' }],
  ['RequestInit’s referrer is invalid', '', { referrer: 'http://:not a valid URL' }],
  ['RequestInit’s method is invalid', '', { method: 'IN VALID' }],
  ['RequestInit’s method is forbidden', '', { method: 'TRACE' }],
  ['Bad referrerPolicy init parameter value', '', { referrerPolicy: 'BAD' }],
  ['Bad mode init parameter value', '', { mode: 'BAD' }],
  ['Bad credentials init parameter value', '', { credentials: 'BAD' }],
  ['Bad cache init parameter value', '', { cache: 'BAD' }],
  ['Bad redirect init parameter value', '', { redirect: 'BAD' }],
  ['RequestInit’s headers is invalid', '', { headers: { 'a b': 'c' } }],
  ['GET with a body', '', { body: 'x' }],
  ['A stream without duplex', '', { method: 'POST', body: new ReadableStream() }],
];

for (const [name, input, init] of refused) {
  wpt(general, `TypeError from request constructor takes priority - ${name}`, async ({ fetch, serve }) => {
    const url = await serve(data);
    const attempt = fetch(input || url, { ...init, signal: AbortSignal.abort() });
    expect(await reasonOf(attempt)).toBeInstanceOf(TypeError);
  });
}

/** Requests with a signal that has aborted, in each way that a request can come by one. */
const signed: readonly (readonly [string, (url: string, signal: AbortSignal) => Parameters<typeof fetch>])[] =
  [
    ['Signal on request object', (url, signal) => [new Request(url, { signal })]],
    [
      'Signal on request object created from request object',
      (url, signal) => [new Request(new Request(url, { signal }))],
    ],
    [
      'Signal on request object created from request object, with signal on second request',
      (url, signal) => [new Request(new Request(url), { signal })],
    ],
    [
      'Signal on request object created from request object, with signal on second request overriding another',
      (url, signal) => [new Request(new Request(url, { signal: aborting().signal }), { signal })],
    ],
    [
      'Signal retained after unrelated properties are overridden by fetch',
      (url, signal) => [new Request(url, { signal }), { method: 'POST' }],
    ],
    ['Signal of a Request that stands for init', (url, signal) => [url, new Request(url, { signal })]],
    ['Clone aborts with original controller', (url, signal) => [new Request(url, { signal }).clone()]],
    ['AbortSignal.any() of an aborted one', (url, signal) => [url, { signal: AbortSignal.any([signal]) }]],
  ];

for (const [name, args] of signed) {
  wpt(general, name, async ({ fetch, serve }) => {
    const reason = new Error('enough');
    const url = await serve(data);
    expect(await reasonOf(fetch(...args(url, AbortSignal.abort(reason))))).toBe(reason);
  });

  wpt(general, `${name}, aborted later`, async ({ fetch, serve }) => {
    const reason = new Error('enough');
    const { signal, abort } = aborting();
    const url = await serve(() => abort(reason));
    expect(await reasonOf(fetch(...args(url, signal)))).toBe(reason);
  });
}

wpt(general, 'Signal removed by setting to null', async ({ fetch, serve }) => {
  const url = await serve(data);
  const response = await fetch(new Request(url, { signal: AbortSignal.abort() }), { signal: null });
  expect(await response.json()).toEqual({ key: 'value' });
});

wpt(
  general,
  'Already aborted signal rejects immediately',
  async ({ fetch, serve }) => {
    const url = await serve(data);
    const log: string[] = [];
    await Promise.all([
      fetch(url, { signal: AbortSignal.abort() }).catch(() => log.push('fetch-reject')),
      Promise.resolve().then(() => log.push('next-microtask')),
    ]);
    expect(log).toEqual(['fetch-reject', 'next-microtask']);
  },
  ours,
);

wpt(general, 'Request is still ‘used’ if signal is aborted before fetching', async ({ fetch, serve }) => {
  const url = await serve(data);
  const request = new Request(url, { signal: AbortSignal.abort(), method: 'POST', body: 'foo' });
  await reasonOf(fetch(request));
  expect(request.bodyUsed).toBe(true);
});

const bodyMethods = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const;

for (const method of bodyMethods) {
  wpt(general, `response.${method}() rejects if already aborted`, async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const response = await fetch(await serve(data), { signal });
    abort();
    const log: string[] = [];
    const body = response[method]();
    await Promise.all([
      body.catch(() => log.push('reject')),
      Promise.resolve().then(() => log.push('next-microtask')),
    ]);
    isAbortError(await reasonOf(body));
  });

  const title = `Fetch aborted & connection closed when aborted after calling response.${method}()`;
  wpt(general, title, async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const server = endless();
    const response = await fetch(await serve(server.answer), { signal });
    const body = reasonOf(response[method]());
    abort();
    isAbortError(await body);
    await until(server.closed);
  });
}

wpt(general, 'Already aborted signal does not make request', async ({ fetch, serve }) => {
  const server = endless();
  const url = await serve(server.answer);
  await reasonOf(fetch(url, { signal: AbortSignal.abort() }));
  const other = await fetch(await serve(data));
  await other.json();
  expect(server.begun()).toBe(0);
});

wpt(general, 'Already aborted signal can be used for many fetches', async ({ fetch, serve }) => {
  const url = await serve(endless().answer);
  const signal = AbortSignal.abort();
  for (const attempt of [1, 2, 3].map((i) => fetch(`${url}?${i}`, { signal }))) {
    isAbortError(await reasonOf(attempt));
  }
});

wpt(
  general,
  'Signal can be used to abort other fetches, even if another fetch succeeded before aborting',
  async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    await (await fetch(await serve(data), { signal })).json();
    abort();
    const url = await serve(endless().answer);
    for (const attempt of [1, 2, 3].map((i) => fetch(`${url}?${i}`, { signal }))) {
      isAbortError(await reasonOf(attempt));
    }
  },
);

wpt(
  general,
  'Underlying connection is closed when aborting after receiving response',
  async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const server = endless();
    await fetch(await serve(server.answer), { signal });
    expect(server.closed()).toBe(false);
    abort();
    await until(server.closed);
  },
);

for (const reads of [false, true]) {
  const title = `Stream errors once aborted${reads ? ', after reading' : ''}. Underlying connection closed.`;
  wpt(general, title, async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const server = endless();
    const response = await fetch(await serve(server.answer), { signal });
    const reader = response.body?.getReader();
    if (reads) await reader?.read();
    abort();
    isAbortError(await reasonOf(reader?.read() ?? Promise.resolve()));
    isAbortError(await reasonOf(reader?.closed ?? Promise.resolve()));
    await until(server.closed);
  });
}

wpt(
  general,
  'Stream will not error if body is empty. It’s closed with an empty queue before it errors.',
  async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const url = await serve((_, response) => response.end());
    const response = await fetch(url, { signal });
    const reader = response.body?.getReader();
    abort();
    expect(await reader?.read()).toEqual({ done: true, value: undefined });
  },
  ours,
);

wpt(
  general,
  'Readable stream synchronously cancels with AbortError if aborted before reading',
  async ({ fetch, serve }) => {
    const url = await serve(data);
    let cancelled: unknown = null;
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array([42])),
      cancel(reason) {
        cancelled = reason;
      },
    });
    const attempt = fetch(url, { body, signal: AbortSignal.abort(), method: 'POST', duplex: 'half' });
    const error = reasonOf(attempt);
    expect(cancelled).not.toBe(null);
    expect(await error).toBe(cancelled);
    isAbortError(cancelled);
  },
);

// What those tests leave out.

const more = 'abort, beyond WPT';

wpt(
  more,
  'an upload under way cancels its stream with the reason, whatever it is',
  async ({ fetch, serve }) => {
    for (const reason of [new Error('enough'), 'text']) {
      const { signal, abort } = aborting();
      let cancelled: unknown = null;
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(Buffer.alloc(65_536)),
        cancel(why) {
          cancelled = why;
        },
      });
      const url = await serve((request, response) => {
        // The ping of a registry that is not known yet.
        if (request.method === 'GET') return response.end();
        return request.once('data', () => abort(reason));
      });
      const attempt = fetch(url, { method: 'PUT', body, duplex: 'half', signal });
      expect(await reasonOf(attempt)).toBe(reason);
      await until(() => cancelled === reason);
    }
  },
  ours,
);

wpt(
  more,
  'AbortSignal.timeout() ends a response that does not come, with its TimeoutError',
  async ({ fetch, serve }) => {
    const url = await serve(() => {});
    const signal = AbortSignal.timeout(50);
    const error = await reasonOf(fetch(url, { signal }));
    expect(error).toBe(signal.reason);
    expect(error).toMatchObject({ name: 'TimeoutError' });
  },
);

wpt(
  more,
  'AbortSignal.any() ends a body with the reason of the one that aborted',
  async ({ fetch, serve }) => {
    const { signal, abort } = aborting();
    const url = await serve(endless().answer);
    const any = AbortSignal.any([aborting().signal, signal, AbortSignal.timeout(1_000_000)]);
    const response = await fetch(url, { signal: any });
    const text = reasonOf(response.text());
    const reason = new Error('enough');
    abort(reason);
    expect(await text).toBe(reason);
  },
);

wpt(more, 'an abort after the end of the body changes nothing', async ({ fetch, serve }) => {
  const { signal, abort } = aborting();
  const response = await fetch(await serve(data), { signal });
  const clone = response.clone();
  expect(await response.json()).toEqual({ key: 'value' });
  expect(await clone.json()).toEqual({ key: 'value' });
  abort();
});

wpt(more, 'both of a response and its clone end with the reason', async ({ fetch, serve }) => {
  const { signal, abort } = aborting();
  const response = await fetch(await serve(endless().answer), { signal });
  const texts = [response.clone(), response].map((one) => reasonOf(one.text()));
  const reason = new Error('enough');
  abort(reason);
  expect(await Promise.all(texts)).toEqual([reason, reason]);
});

wpt(more, 'a signal that is none is a TypeError', async ({ fetch, serve }) => {
  const url = await serve(data);
  for (const signal of [{}, 'x', 1, new EventTarget()]) {
    const init: RequestInit = Object.fromEntries([['signal', signal]]);
    expect(await reasonOf(fetch(url, init))).toBeInstanceOf(TypeError);
  }
});

/** Each way for a call to end, and that nothing of it is left on the signal. */
const ends: readonly (readonly [string, Answer, (response: Response) => Promise<unknown>])[] = [
  ['read', data, (response) => response.text()],
  ['read by a clone and itself', data, (response) => Promise.all([response.clone().text(), response.text()])],
  ['cancelled', endless().answer, async (response) => response.body?.cancel()],
  ['without a body', (_, response) => response.writeHead(204).end(), async () => {}],
  ['empty and not looked at', (_, response) => response.end(), async () => {}],
  [
    'broken',
    (_, response) => response.write('x', () => response.destroy()),
    (response) => isNetworkError(response.text()),
  ],
];

for (const [name, answer, finish] of ends) {
  wpt(
    more,
    `no listener is left by a response that is ${name}`,
    async ({ fetch, serve }) => {
      const { signal } = aborting();
      await finish(await fetch(await serve(answer), { signal }));
      await until(() => getEventListeners(signal, 'abort').length === 0);
    },
    ours,
  );
}

wpt(
  more,
  'no listener is left on the signal of a Request, nor on the one it follows',
  async ({ fetch, serve }) => {
    const { signal } = aborting();
    const request = new Request(await serve(data), { signal });
    const count = () => [signal, request.signal].map((one) => getEventListeners(one, 'abort').length);
    const before = count();
    for (let i = 0; i < 3; i++) await (await fetch(request)).text();
    await until(() => String(count()) === String(before));
  },
  ours,
);

wpt(
  more,
  'no listener is left by a call that failed',
  async ({ fetch, serve }) => {
    const { signal } = aborting();
    const url = await serve((request) => request.socket.destroy());
    await isNetworkError(fetch(url, { signal }));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  },
  ours,
);

wpt(
  more,
  'a response that is not read keeps its listener until it is forgotten, and no longer',
  async (stage) => {
    const { signal } = aborting();
    await unread(stage, signal);
    expect(getEventListeners(signal, 'abort').length).toBeGreaterThan(0);
    await until(() => {
      collect();
      return getEventListeners(signal, 'abort').length === 0;
    });
  },
  ours,
);

/** In a function of its own, so that nothing here holds the response. */
async function unread({ fetch, serve }: Stage, signal: AbortSignal): Promise<void> {
  const response = await fetch(await serve(data), { signal });
  expect(response.bodyUsed).toBe(false);
}
