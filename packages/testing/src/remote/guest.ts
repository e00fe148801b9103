/**
 * The end of the bridge where the fetch under test runs: a browser, a worker, another runtime.
 *
 * Rules of this file: no Node imports, and none in what it imports; nothing is decided here. An abort of the case becomes an
 * abort of a signal of this runtime's own, so that its fetch is given what a caller would give it.
 */

import type { FetchedResponse, FetchInit, FetchOptions } from '../conformance/contract.ts';
import {
  fromBase64,
  type GuestOperations,
  type HostOperations,
  type Outcome,
  toBase64,
} from './operations.ts';
import { type Ask, type Channel, connectPeer } from './peer.ts';

export type { FetchInit, FetchOptions } from '../conformance/contract.ts';
export type { Channel } from './peer.ts';

/** A response whose headers can be listed, as those of every platform can. */
export interface ServedResponse extends Omit<FetchedResponse, 'headers' | 'body'> {
  readonly headers: Iterable<readonly [name: string, value: string]>;
  readonly body: {
    getReader(): {
      read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
      cancel(): Promise<void>;
    };
  } | null;
}

type ServedFetch = (url: string, init?: FetchInit) => Promise<ServedResponse>;

/** One call, from its request to the end of its answer's body. */
interface Call {
  readonly abort: AbortController;
  response?: ServedResponse;
  reader?: ReturnType<NonNullable<ServedResponse['body']>['getReader']> | undefined;
}

/**
 * Serves fetches that `createFetch` makes to `remoteFetch` of `@reg/testing` at the other end of `channel`. `print` shows an
 * error as this runtime's console would, so that a case sees the secrets it would show.
 */
export function serveFetch(
  channel: Channel,
  createFetch: (options: FetchOptions) => ServedFetch | Promise<ServedFetch>,
  print?: (value: unknown) => string,
): void {
  const clients = new Map<number, ServedFetch>();
  const calls = new Map<number, Call>();

  const find = (call: number): Call => {
    const found = calls.get(call);
    if (found === undefined) throw new Error(`no call ${call}`);
    return found;
  };

  /** What `act` makes of a call; an end with the reason of its signal is told as such. */
  const outcomeOf = async <T>(call: Call, act: () => Promise<T>): Promise<Outcome<T>> => {
    try {
      return { value: await act() };
    } catch (error) {
      if (call.abort.signal.aborted && error === call.abort.signal.reason) return { aborted: true };
      throw error;
    }
  };

  const ask: Ask<HostOperations> = connectPeer(
    channel,
    {
      create: async ({ client, options }) => {
        clients.set(client, await createFetch(options));
        return null;
      },
      fetch: async ({ client, call: id, url, init, body, signal }) => {
        const fetch = clients.get(client);
        if (fetch === undefined) throw new Error(`no client ${client}`);
        const call: Call = { abort: new AbortController() };
        calls.set(id, call);
        if (signal === 'aborted') call.abort.abort(new Error('the case had aborted'));
        return outcomeOf(call, async () => {
          const response = await fetch(url, {
            ...init,
            ...(signal === 'none' ? {} : { signal: call.abort.signal }),
            ...(body === 'none' ? {} : { body: body === 'stream' ? uploadOf(ask, id) : body.text }),
          });
          call.response = response;
          const { status, redirected, headers } = response;
          return {
            status,
            url: response.url,
            redirected,
            headers: [...headers],
            body: response.body !== null,
          };
        });
      },
      abort: async ({ call }) => {
        calls.get(call)?.abort.abort(new Error('the case aborts'));
        return null;
      },
      read: async ({ call: id }) => {
        const call = find(id);
        return outcomeOf(call, async () => {
          call.reader ??= call.response?.body?.getReader();
          const { value } = (await call.reader?.read()) ?? {};
          return value === undefined ? null : toBase64(value);
        });
      },
      text: async ({ call: id }) => {
        const call = find(id);
        return outcomeOf(call, async () => (await call.response?.text()) ?? '');
      },
      cancel: async ({ call: id }) => {
        const call = find(id);
        call.reader ??= call.response?.body?.getReader();
        await call.reader?.cancel();
        return null;
      },
    } satisfies GuestOperations,
    print,
  );
}

/** The body of a request, pulled from the case as the fetch reads it. */
function uploadOf(ask: Ask<HostOperations>, call: number): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await ask('pull', { call });
        if (chunk === null) controller.close();
        else controller.enqueue(fromBase64(chunk));
      },
      async cancel() {
        await ask('drop', { call });
      },
    },
    { highWaterMark: 0 },
  );
}
