/** Bodies on a real connection: what limits count, what is decoded, and what happens to the connection. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { Client } from 'undici';
import { describe, expect, test } from 'vitest';
import { beginningOf, textOf, webStream } from '../src/body.ts';
import { Leg } from '../src/leg.ts';
import { closing, serve, until } from './stage.ts';

type Answer = Parameters<typeof serve>[0];

/** A leg whose head has come, and whether its connection is gone. */
async function answered(answer: Answer) {
  let closed = false;
  const { url } = await serve((request, response) => {
    response.on('close', () => {
      closed = true;
    });
    answer(request, response);
  });
  const client = closing(new Client(url));
  const leg = await new Promise<Leg>((resolve, reject) => {
    const one: Leg = new Leg(
      null,
      (error) => (error === null ? resolve(one) : reject(error)),
      () => {},
    );
    client.dispatch({ path: '/', method: 'GET' }, one);
  });
  return { leg, closed: () => closed };
}

const encoded =
  (coding: string, body: Buffer | string): Answer =>
  (_, response) => {
    response.setHeader('Content-Encoding', coding);
    response.end(body);
  };

/** Writes `chunk` for ever. */
function endless(headers: Record<string, string>, chunk: Buffer): Answer {
  return (_, response) => {
    response.writeHead(200, headers);
    const write = (): void => {
      if (response.destroyed) return;
      if (response.write(chunk)) setImmediate(write);
      else response.once('drain', write);
    };
    write();
  };
}

describe('a text within a limit', () => {
  test('of bytes, not characters: so many are read, one more is too many', async () => {
    const text = 'ü'.repeat(500);
    const within = await answered((_, response) => void response.end(text));
    expect(await textOf(within.leg, 1_000)).toBe(text);
    const over = await answered((_, response) => void response.end(text));
    expect(await textOf(over.leg, 999)).toBe(null);
  });

  test('of decoded bytes', async () => {
    const text = 'x'.repeat(100_000);
    const within = await answered(encoded('gzip', gzipSync(text)));
    expect(await textOf(within.leg, 100_000)).toBe(text);
    const over = await answered(encoded('gzip', gzipSync(text)));
    expect(await textOf(over.leg, 99_999)).toBe(null);
  });

  test.each([
    ['plain', {}, Buffer.alloc(65_536)],
    ['gzip', { 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(1_048_576))],
    ['gzip of nothing, again and again', { 'Content-Encoding': 'gzip' }, gzipSync('')],
  ])('one without end gives up its connection: %s', async (_, headers, chunk) => {
    const { leg, closed } = await answered(endless(headers, chunk));
    expect(await textOf(leg, 131_072)).toBe(null);
    await until(closed);
  });

  test('a BOM is no part of it (requirement 78)', async () => {
    const { leg } = await answered((_, response) => void response.end('\uFEFF{}'));
    expect(await textOf(leg, 10)).toBe('{}');
  });

  test.each(['gzip', 'br'])('an empty body in %s is empty', async (coding) => {
    const { leg } = await answered(encoded(coding, ''));
    expect(await textOf(leg, 10)).toBe('');
  });

  test.each([
    ['cut off', gzipSync('some text').subarray(0, -9)],
    ['of something else', 'some text'],
  ])('gzip %s is an error', async (_, body) => {
    const { leg } = await answered(encoded('gzip', body));
    await expect(textOf(leg, 100)).rejects.toMatchObject({ code: /^Z_/ });
  });
});

describe('the beginning', () => {
  const text = JSON.stringify({ errors: [{ code: 'DENIED', message: 'no '.repeat(5_000) }] });

  test.each([
    ['identity', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
  ])('of a body in %s is decoded, and the body stays whole', async (coding, body) => {
    const { leg } = await answered(encoded(coding, body));
    expect(await beginningOf(leg, 4_096)).toBe(text.slice(0, 4_096));
    expect(await textOf(leg, 100_000)).toBe(text);
  });

  test('of a gzip that is no gzip cannot be had, and the bytes are the caller’s', async () => {
    const { leg } = await answered(encoded('gzip', 'some text'));
    expect(await beginningOf(leg, 64)).toBe(null);
  });

  test('of a bomb is no longer than asked for', async () => {
    const { leg } = await answered(encoded('gzip', gzipSync(Buffer.alloc(67_108_864, 'x'))));
    expect(await beginningOf(leg, 4_096)).toBe('x'.repeat(4_096));
    leg.abort(new Error('enough'));
  });
});

describe('as a stream of the platform', () => {
  test('cancelled, it ends the request', async () => {
    const { leg, closed } = await answered(endless({}, Buffer.alloc(65_536)));
    const reader = webStream(leg, null).getReader();
    await reader.read();
    await reader.cancel(new Error('enough'));
    await until(closed);
  });

  test('cancelled before it is read, too', async () => {
    const { leg, closed } = await answered(endless({}, Buffer.alloc(65_536)));
    await webStream(leg, null).cancel();
    await until(closed);
  });

  test('a chunk is the reader’s own memory, and no window on undici’s', async () => {
    const { leg } = await answered((_, response) => void response.end('some text'));
    const { value } = await webStream(leg, null).getReader().read();
    expect(value?.buffer.byteLength).toBe(9);
  });

  test('a broken connection is fetch’s own TypeError', async () => {
    const { leg } = await answered((request, response) => {
      response.write('some');
      setImmediate(() => request.socket.resetAndDestroy());
    });
    const reader = webStream(leg, null).getReader();
    const read = async (): Promise<void> => {
      for (;;) if ((await reader.read()).done) return;
    };
    await expect(read()).rejects.toMatchObject({ message: 'terminated', cause: { code: 'ECONNRESET' } });
  });

  test('one that nobody can read any more gives up its connection', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const streams: (() => boolean)[] = [];
    for (let i = 0; i < 3; i++) {
      const { leg, closed } = await answered(endless({}, Buffer.alloc(65_536)));
      expect(webStream(leg, null).locked).toBe(false);
      streams.push(closed);
    }
    await until(() => {
      collect();
      return streams.filter((closed) => closed()).length > 1;
    });
  });
});
