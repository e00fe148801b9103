/**
 * The end of the bridge where cases run: servers, log and assertions are here, the fetch under test is in another runtime.
 *
 * Rules of this file: a case cannot tell the fetch it gets from a local one, but by time. A rejection with the reason the
 * guest gave its signal is one with the reason of the signal here; every other rejection is passed as it is.
 */

import type { CreateFetch, Fetch, FetchedResponse } from '../conformance/contract.ts';
import {
  fromBase64,
  type GuestOperations,
  type HostOperations,
  type Outcome,
  type RemoteHead,
  toBase64,
} from './operations.ts';
import { type Ask, type Channel, connectPeer } from './peer.ts';

/**
 * Makes fetches that run at the other end of `channel`, where `serveFetch` of `@reg/testing/guest` serves them. When the
 * channel ends or carries what neither end knows, every call under way and every later one rejects.
 */
export function remoteFetch(channel: Channel): CreateFetch {
  /** Bodies of requests, read as the guest asks for them. */
  const uploads = new Map<number, ReadableStreamDefaultReader<Uint8Array>>();
  const ask: Ask<GuestOperations> = connectPeer(channel, {
    pull: async ({ call }) => {
      const chunk = await uploads.get(call)?.read();
      if (chunk?.value !== undefined) return toBase64(chunk.value);
      uploads.delete(call);
      return null;
    },
    drop: async ({ call }) => {
      await uploads.get(call)?.cancel();
      uploads.delete(call);
      return null;
    },
  } satisfies HostOperations);
  let clients = 0;
  let calls = 0;

  return async (options) => {
    clients += 1;
    const client = clients;
    await ask('create', { client, options });
    const fetch: Fetch = async (url, { body, signal, ...init } = {}) => {
      calls += 1;
      const call = calls;
      if (body instanceof ReadableStream) uploads.set(call, body.getReader());
      const abort = () => void ask('abort', { call }).catch(() => {});
      const answer = ask('fetch', {
        client,
        call,
        url,
        init,
        body: body === undefined ? 'none' : typeof body === 'string' ? { text: body } : 'stream',
        signal: signal === undefined ? 'none' : signal.aborted ? 'aborted' : 'live',
      });
      signal?.addEventListener('abort', abort);
      const valueIn = <T>(outcome: Outcome<T>): T => {
        if ('aborted' in outcome) throw signal?.reason;
        return outcome.value;
      };
      return responseOf(ask, call, valueIn(await answer), valueIn);
    };
    return fetch;
  };
}

function responseOf(
  ask: Ask<GuestOperations>,
  call: number,
  head: RemoteHead,
  valueIn: <T>(outcome: Outcome<T>) => T,
): FetchedResponse {
  const { status, url, redirected } = head;
  return {
    status,
    url,
    redirected,
    headers: new Headers(head.headers.map(([name, value]): [string, string] => [name, value])),
    // Nothing is read ahead of the case.
    body: head.body
      ? new ReadableStream<Uint8Array>(
          {
            async pull(controller) {
              const chunk = valueIn(await ask('read', { call }));
              if (chunk === null) controller.close();
              else controller.enqueue(fromBase64(chunk));
            },
            async cancel() {
              await ask('cancel', { call });
            },
          },
          { highWaterMark: 0 },
        )
      : null,
    text: async () => valueIn(await ask('text', { call })),
  };
}
