/** A leg on a real connection: what it holds, when it lets go, and what it leaves of the connection. */

import { createServer } from 'node:net';
import { Client, type Dispatcher, errors } from 'undici';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Leg } from '../src/leg.ts';
import { closing, recorder, rest, serve, turn, until } from './stage.ts';

type Answer = Parameters<typeof serve>[0];

/** A server, one connection to it, and legs on that. */
async function line(answer: Answer) {
  const { url, connections } = await serve(answer);
  const client = closing(new Client(url));
  /** Starts a leg. `settled` is the head or the error, `ends` counts how often it said that nothing more will come. */
  const start = (path = '/') => {
    let settle: (error: Error | null) => void = () => {};
    const settled = new Promise<Error | null>((resolve) => {
      settle = resolve;
    });
    const counts = { settled: 0, ended: 0 };
    const leg = new Leg(
      null,
      (error) => {
        counts.settled += 1;
        settle(error);
      },
      () => {
        counts.ended += 1;
      },
    );
    client.dispatch({ path, method: 'GET' }, leg);
    return { leg, settled, counts };
  };
  return { client, connections, start };
}

/** Reads all that flows. */
function drinking(leg: Leg): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    leg.flow({
      data: (chunk) => {
        text += chunk;
      },
      end: () => resolve(text),
      error: reject,
    });
  });
}

/** Writes for as long as the other side reads. Returns how much that was so far. */
function flood(response: Parameters<Answer>[1]): () => number {
  let written = 0;
  const write = (): void => {
    if (response.destroyed) return;
    written += 65_536;
    if (response.write(Buffer.alloc(65_536))) setImmediate(write);
    else response.once('drain', write);
  };
  write();
  return () => written;
}

test('what comes is held in order, and nothing more is taken than 64 KiB and what is on its way', async () => {
  let written = (): number => 0;
  const { start } = await line((_, response) => {
    written = flood(response);
  });
  const { leg, settled } = start();
  expect(await settled).toBe(null);
  expect([leg.status, leg.progress]).toEqual([200, 'answered']);
  await rest(written);
  // The buffers of two sockets, which the system sizes.
  expect(written()).toBeLessThan(16 * 1_048_576);
  leg.abort(new Error('enough'));
});

test('what was held back flows on, to its end', async () => {
  const { start } = await line((_, response) => void response.end('x'.repeat(1_048_576)));
  const { leg, settled, counts } = start();
  await settled;
  // Longer than it takes to come: all that is left waits.
  for (let i = 0; i < 100; i++) await turn();
  expect(counts.ended).toBe(0);
  expect((await drinking(leg)).length).toBe(1_048_576);
});

test('a response that ended while it was held flows whole, and the end was told once', async () => {
  const { start } = await line((_, response) => void response.end('small'));
  const { leg, settled, counts } = start();
  await settled;
  await until(() => counts.ended === 1);
  expect(await drinking(leg)).toBe('small');
  leg.abort(new Error('too late'));
  expect(counts).toEqual({ settled: 1, ended: 1 });
});

test('a reader that pauses in the middle of what was held gets the rest in order', async () => {
  const { start } = await line((_, response) => {
    response.write('one');
    setImmediate(() => response.write('two'));
    setImmediate(() => setImmediate(() => response.end('three')));
  });
  const { leg, counts } = start();
  await until(() => counts.ended === 1);
  const seen: string[] = [];
  leg.flow({
    data: (chunk) => {
      seen.push(String(chunk));
      leg.pause();
    },
    end: () => void seen.push('end'),
    error: (error) => expect.unreachable(error.message),
  });
  while (seen.at(-1) !== 'end') {
    const before = seen.length;
    await turn();
    expect(seen.length).toBe(before);
    leg.resume();
  }
  expect(seen.join('')).toBe('onetwothreeend');
});

test('pause and resume after its end leave the next request on the connection alone', async () => {
  const { client, start } = await line((request, response) => {
    response.end(request.url === '/large' ? Buffer.alloc(4_000_000) : 'small');
  });
  const { leg, counts } = start();
  await until(() => counts.ended === 1);
  let bytes = 0;
  let controller: Dispatcher.DispatchController | undefined;
  const next = recorder({
    onResponseStart: (own) => {
      controller = own;
      own.pause();
    },
    onResponseData: (_, chunk) => {
      bytes += chunk.length;
    },
  });
  client.dispatch({ path: '/large', method: 'GET' }, next.handler);
  await until(() => controller !== undefined);
  leg.pause();
  leg.resume();
  expect(await drinking(leg)).toBe('small');
  for (let i = 0; i < 50; i++) await turn();
  expect(bytes).toBe(0);
  controller?.resume();
  expect(await next.end).toBe(null);
  expect(bytes).toBe(4_000_000);
});

describe('aborted', () => {
  const reason = new Error('enough');

  test('before it has a connection: at once, and it is never sent', async () => {
    const seen: (string | undefined)[] = [];
    let release: () => void = () => {};
    const { start } = await line((request, response) => {
      seen.push(request.url);
      release = () => response.end();
    });
    const first = start('/first');
    await until(() => seen.length === 1);
    const second = start('/second');
    second.leg.abort(reason);
    expect(await second.settled).toBe(reason);
    expect(second.leg.progress).toBe('connecting');
    release();
    await first.leg.discard();
    const third = start('/third');
    await until(() => seen.length > 1);
    release();
    expect(await third.settled).toBe(null);
    expect(seen).toEqual(['/first', '/third']);
    expect(second.counts).toEqual({ settled: 1, ended: 1 });
  });

  test('while it waits for its head', async () => {
    let arrived = false;
    const { start } = await line(() => {
      arrived = true;
    });
    const { leg, settled, counts } = start();
    await until(() => arrived);
    leg.abort(reason);
    leg.abort(new Error('again'));
    expect(await settled).toBe(reason);
    expect(counts).toEqual({ settled: 1, ended: 1 });
  });

  test.each([
    ['in the middle of its body', (response: Parameters<Answer>[1]) => void response.write('some')],
    ['when all has come and is held', (response: Parameters<Answer>[1]) => void response.end('some')],
  ])('%s: the reader gets the reason and nothing else', async (_, answer) => {
    const { start } = await line((_request, response) => answer(response));
    const { leg, settled } = start();
    await settled;
    for (let i = 0; i < 10; i++) await turn();
    leg.abort(reason);
    await expect(drinking(leg)).rejects.toBe(reason);
  });
});

describe('the beginning of a body', () => {
  test('is so many bytes of it, left in place', async () => {
    const { start } = await line((_, response) => void response.end('0123456789'));
    const { leg, settled } = start();
    await settled;
    expect(String(await leg.beginning(4))).toBe('0123');
    expect(String(await leg.beginning(99))).toBe('0123456789');
    expect(await drinking(leg)).toBe('0123456789');
  });

  test('is what has come within a second', async () => {
    const { start } = await line((_, response) => void response.write('some'));
    const { leg, settled } = start();
    await settled;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const beginning = leg.beginning(100);
    let got = '';
    void beginning.then((bytes) => {
      got = String(bytes);
    });
    for (let i = 0; i < 10; i++) await turn();
    expect(got).toBe('');
    vi.advanceTimersByTime(1_000);
    expect(String(await beginning)).toBe('some');
    leg.abort(new Error('enough'));
  });

  test('rejects when the connection breaks, and leaves no timer', async () => {
    const { start } = await line((request, response) => {
      response.write('some');
      setImmediate(() => request.socket.resetAndDestroy());
    });
    const { leg, settled } = start();
    await settled;
    await expect(leg.beginning(100)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('a body nobody wants', () => {
  test('is read to its end, and the connection is used again', async () => {
    const { start, connections } = await line((_, response) => void response.end('x'.repeat(65_536)));
    for (let i = 0; i < 3; i++) {
      const { leg, settled } = start();
      await settled;
      await leg.discard();
    }
    expect(connections()).toBe(1);
  });

  test('costs its connection when it is longer than 64 KiB', async () => {
    let closed = false;
    const { start } = await line((_, response) => {
      response.on('close', () => {
        closed = true;
      });
      flood(response);
    });
    const { leg, settled } = start();
    await settled;
    await leg.discard();
    await until(() => closed);
  });

  test('costs its connection when it takes longer than a second', async () => {
    let closed = false;
    const { start } = await line((_, response) => {
      response.on('close', () => {
        closed = true;
      });
      response.write('some');
    });
    const { leg, settled } = start();
    await settled;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const gone = leg.discard();
    vi.advanceTimersByTime(1_000);
    await gone;
    vi.useRealTimers();
    await until(() => closed);
  });

  test('that broke off already is nothing to wait for', async () => {
    const { start } = await line((request, response) => {
      response.write('some');
      setImmediate(() => request.socket.resetAndDestroy());
    });
    const { leg, settled, counts } = start();
    await settled;
    await until(() => counts.ended === 1);
    await leg.discard();
  });
});

test('what cannot be parsed is not in the error: a token may be in it', async () => {
  const server = createServer((socket) => {
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ a secret'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const client = closing(new Client(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`));
  const leg = new Leg(
    null,
    () => {},
    () => {},
  );
  client.dispatch({ path: '/', method: 'GET' }, leg);
  const error = await drinking(leg).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(errors.HTTPParserError);
  expect(JSON.stringify(error)).not.toContain('secret');
});
