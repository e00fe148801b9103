import { describe, expect, test } from 'vitest';
import { type FetchedResponse, type FetchInit, remoteFetch } from '../src/index.ts';
import type { ServedResponse } from '../src/remote/guest.ts';
import { bridged, channels } from './bridge.ts';

const options = { credentials: {}, policy: { realms: { pairs: [] } } };

/** A fetch at the other end that answers as `answer` says. */
const served = async (answer: (url: string, init: FetchInit) => Promise<ServedResponse>) =>
  bridged(
    () =>
      (url, init = {}) =>
        answer(url, init),
  )(options);

const text = (chunk: Uint8Array | undefined) => new TextDecoder().decode(chunk);

/** A body of three chunks, and which of them were asked for. */
function threeChunks() {
  const pulled: string[] = [];
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = ['one', 'two', 'three'][pulled.length];
        pulled.push(chunk ?? 'end');
        if (chunk === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
      cancel(reason) {
        pulled.push(`cancelled: ${reason}`);
      },
    },
    { highWaterMark: 0 },
  );
  return { body, pulled };
}

async function streamOf(response: FetchedResponse): Promise<ReadableStream<Uint8Array>> {
  if (!(response.body instanceof ReadableStream)) throw new Error('a body was expected');
  return response.body;
}

describe('what a call gets through the bridge', () => {
  test('status, headers, URL and text as they were there', async () => {
    const fetch = await served(async () => new Response('grüße', { status: 418, headers: { 'x-a': 'b' } }));
    const response = await fetch('https://registry.test/v2/');
    expect([response.status, response.headers.get('X-A'), response.redirected]).toEqual([418, 'b', false]);
    expect(await response.text()).toBe('grüße');
  });

  test('a body chunk by chunk, each asked for when it is read; a cancel travels', async () => {
    const { body, pulled } = threeChunks();
    const fetch = await served(async () => new Response(body));
    const reader = (await streamOf(await fetch('https://registry.test/v2/'))).getReader();
    expect(pulled).toEqual([]);
    expect(text((await reader.read()).value)).toBe('one');
    expect(text((await reader.read()).value)).toBe('two');
    expect(pulled).toEqual(['one', 'two']);
    await reader.cancel();
    expect(pulled).toEqual(['one', 'two', 'cancelled: undefined']);
  });

  test('bytes of every value, and chunks of any size', async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 256);
    const fetch = await served(async () => new Response(bytes));
    const chunks: Uint8Array[] = [];
    for await (const chunk of await streamOf(await fetch('https://registry.test/v2/'))) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  test('an upload is pulled as it is read, and dropped when it is not wanted', async () => {
    const { body, pulled } = threeChunks();
    const fetch = await served(async (_, init) => {
      if (!(init.body instanceof ReadableStream)) throw new Error('a stream was expected');
      const reader = init.body.getReader();
      const first = text((await reader.read()).value);
      await reader.cancel();
      return new Response(first);
    });
    const response = await fetch('https://registry.test/v2/', { method: 'POST', body, duplex: 'half' });
    expect(await response.text()).toBe('one');
    expect(pulled).toEqual(['one', 'cancelled: undefined']);
  });
});

describe('how a call ends through the bridge', () => {
  const rejection = (fetch: Promise<unknown>) =>
    fetch.then(
      () => expect.unreachable(),
      (error: unknown) => error,
    );

  test('an Error keeps name, message, code and failure, and shows what printing it showed', async () => {
    const cause = new Error('with hunter2');
    const thrown = Object.assign(new RangeError('no', { cause }), {
      code: 'ERR_REG_DENIED',
      failure: { kind: 'x' },
    });
    const fetch = await served(() => Promise.reject(thrown));
    const error = await rejection(fetch('https://registry.test/v2/'));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'RangeError',
      message: 'no',
      code: 'ERR_REG_DENIED',
      failure: { kind: 'x' },
    });
    expect(JSON.stringify(error)).toContain('hunter2');
  });

  test('what is no Error stays none', async () => {
    const fetch = await served(() => Promise.reject('a text'));
    expect(await rejection(fetch('https://registry.test/v2/'))).toBe('a text');
  });

  test('only the very reason of the signal becomes the reason here', async () => {
    const reason = new Error('enough');
    const abort = async (rejectWith: (signal: AbortSignal) => unknown) => {
      const controller = new AbortController();
      const fetch = await served(
        (_, { signal }) =>
          new Promise((_, reject) => {
            signal?.addEventListener('abort', () => reject(rejectWith(signal)));
            controller.abort(reason);
          }),
      );
      return rejection(fetch('https://registry.test/v2/', { signal: controller.signal }));
    };
    expect(await abort((signal) => signal.reason)).toBe(reason);
    expect(await abort(() => new DOMException('aborted', 'AbortError'))).toMatchObject({
      name: 'AbortError',
      message: 'aborted',
    });
  });

  test.each([
    ['a text that is no JSON', 'rubbish', /not a message: rubbish/],
    ['JSON that is no message', '{"answer":1}', /not a message/],
    ['an answer to nothing', '{"answer":99,"value":null}', /an answer to 99, which was not asked/],
    ['an operation nobody knows', '{"ask":1,"operation":"reed","argument":{}}', /unknown operation 'reed'/],
    ['the other end’s own word', '{"broken":"by design"}', /the other end says: by design/],
  ])('%s ends every call, under way and later', async (_, message, why) => {
    const [host, guest] = channels();
    const told: string[] = [];
    guest.listen(
      (text) => told.push(text),
      () => {},
    );
    const create = remoteFetch(host);
    const under = create(options);
    guest.send(message);
    await expect(under).rejects.toThrow(why);
    await expect(create(options)).rejects.toThrow(why);
    guest.end();
  });

  test('a channel that ends, ends every call', async () => {
    const [host, guest] = channels();
    const create = remoteFetch(host);
    const under = create(options);
    guest.end();
    await expect(under).rejects.toThrow('the port is closed');
    await expect(create(options)).rejects.toThrow('the port is closed');
  });
});
