/**
 * The core alone on the platform's `fetch`: its driver with the shortest `Send` there is.
 *
 * Rules of this file: what a platform's fetch does wrong is seen here and not repaired. Of one platform it knows that a page does
 * not see where redirects lead, which a policy says and a head tells.
 */

import type { RegistryRequest } from '@reg/core';
import { createAuthorizer, type Send, staticKeychain } from '@reg/core/driver';
import type { FetchInit, FetchOptions, ServedResponse } from '@reg/testing/guest';

interface Call extends RegistryRequest {
  readonly content: FetchInit['body'];
}

/** A fetch with a memory of its own. */
export function createCoreFetch({ credentials, policy }: FetchOptions) {
  const authorizer = createAuthorizer<Response, Call>({
    send,
    keychain: staticKeychain(credentials),
    policy: { ...policy, redirects: { mode: 'document' in globalThis ? 'platform' : 'judge' } },
  });
  return async (url: string, init: FetchInit = {}): Promise<ServedResponse> => {
    const { method = 'GET', headers = {}, body, redirect = 'follow', signal } = init;
    const call: Call = {
      method,
      url,
      headers: Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
      body: body === undefined ? 'none' : typeof body === 'string' ? 'replayable' : 'once',
      redirect,
      content: body,
    };
    const { raw, ...about } = await authorizer.request(call, signal === undefined ? {} : { signal });
    return {
      status: raw.status,
      headers: raw.headers,
      body: raw.body,
      text: () => raw.text(),
      url: about.url,
      redirected: about.redirected,
    };
  };
}

const send: Send<Response, Call> = async (outgoing, signal) => {
  const body = outgoing.body === 'caller' ? outgoing.request?.content : (outgoing.form ?? undefined);
  // The driver's stand-in for a signal that never aborts is none of the platform's.
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  const response = await fetch(outgoing.url, {
    method: outgoing.method,
    headers: outgoing.headers.map(([name, value]): [string, string] => [name, value]),
    redirect: outgoing.redirect,
    signal: controller.signal,
    ...(body === undefined ? {} : { body, ...(typeof body === 'string' ? {} : { duplex: 'half' }) }),
  });
  return {
    head: {
      status: response.status,
      headers: [...response.headers],
      ...(response.redirected ? { url: response.url } : {}),
      ...(response.type === 'cors' ? { filtered: true } : {}),
    },
    raw: response,
    text: (limit) => textOf(response, limit),
    discard: async () => {
      await response.body?.cancel().catch(() => {});
    },
  };
};

async function textOf(response: Response, limit: number): Promise<string | null> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  let size = 0;
  for (;;) {
    const { value } = (await reader?.read()) ?? {};
    if (value === undefined) return text + decoder.decode();
    size += value.length;
    if (size > limit) {
      reader?.cancel().catch(() => {});
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
}
