/**
 * A client on the platform's fetch, to try the conformance suite on: the core's driver with the shortest `Send` there is. What
 * a bad adapter does differently can be bent.
 */

// By path, since the core's tests depend on this package: depending on it here as well would be a circle.
import {
  createAuthorizer,
  type Outgoing,
  type Reply,
  type Send,
  staticKeychain,
} from '../../core/src/driver/index.ts';
import type { RegistryRequest } from '../../core/src/message.ts';
import type { FetchInit, FetchOptions } from '../src/index.ts';

/** Ways to be wrong. */
export interface Bend {
  /** What is sent in place of `outgoing`. */
  readonly outgoing?: (outgoing: Outgoing<Call>) => Outgoing<Call>;
  /** What becomes of a reply. */
  readonly reply?: (reply: Reply<Response>) => Reply<Response>;
  /** Laid over the policy of a case. */
  readonly policy?: NonNullable<Parameters<typeof createAuthorizer>[0]['policy']>;
  /** Nothing is remembered from one call to the next. */
  readonly forgetful?: boolean;
}

interface Call extends RegistryRequest {
  readonly init: FetchInit;
}

/** A `createFetch` that is right but for `bend`; its responses show all their headers, as the bridge wants them. */
export function clientWith(bend: Bend = {}) {
  const { outgoing = (same) => same, reply = (same) => same } = bend;
  const send: Send<Response, Call> = async (effect, signal) => reply(await perform(outgoing(effect), signal));
  return ({ credentials, policy }: FetchOptions) => {
    const create = () =>
      createAuthorizer<Response, Call>({
        send,
        keychain: staticKeychain(credentials),
        policy: { ...policy, ...bend.policy },
      });
    let authorizer = create();
    return async (url: string, init: FetchInit = {}) => {
      if (bend.forgetful) authorizer = create();
      const { method = 'GET', headers = {}, body, redirect = 'follow', signal } = init;
      const call: Call = {
        method,
        url,
        headers: Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        body: body === undefined ? 'none' : typeof body === 'string' ? 'replayable' : 'once',
        redirect,
        init,
      };
      const delivered = await authorizer.request(call, signal === undefined ? {} : { signal });
      const { raw } = delivered;
      return {
        status: raw.status,
        headers: raw.headers,
        body: raw.body,
        text: () => raw.text(),
        url: delivered.url,
        redirected: delivered.redirected,
      };
    };
  };
}

const perform: Send<Response, Call> = async (outgoing, signal) => {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  const { request, form } = outgoing;
  const body = outgoing.body === 'caller' ? request?.init.body : (form ?? undefined);
  const response = await fetch(outgoing.url, {
    method: outgoing.method,
    headers: outgoing.headers.map(([name, value]): [string, string] => [name, value]),
    redirect: outgoing.redirect,
    signal: controller.signal,
    ...(body === undefined ? {} : { body, duplex: 'half' }),
  });
  return {
    head: { status: response.status, headers: [...response.headers] },
    raw: response,
    text: (limit) => textOf(response, limit),
    discard: async () => {
      await response.body?.cancel().catch(() => {});
    },
  };
};

async function textOf(response: Response, limit: number): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
