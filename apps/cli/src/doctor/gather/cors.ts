/**
 * What a web page would be told by the registry and its token server (WHATWG Fetch, "CORS protocol").
 *
 * Rules of this file: facts, no judgement; the requests that a browser would send first, without a credential. A token server was
 * named by a peer: a connection to it is made where the policy lets it.
 */

import type { Addresses, HeaderList } from '@reg/core';
import type { Send } from '@reg/core/driver';
import { bareUrl } from '../../report/url.ts';
import type { Body } from '../../transport/body.ts';

/** One answer, to a page. */
export interface CorsAnswer {
  readonly who: 'registry' | 'token server';
  /** As it was sent. */
  readonly request: string;
  /** `null` where there was no answer. */
  readonly status: number | null;
  readonly headers: HeaderList;
}

export interface CorsFacts {
  readonly origin: string;
  /** A GET without a credential, and the preflight of one with it, of each server. */
  readonly answers: readonly { readonly plain: CorsAnswer; readonly preflight: CorsAnswer }[];
}

export interface CorsTarget {
  readonly who: CorsAnswer['who'];
  readonly url: string;
  /** A token server was named by a peer. */
  readonly addresses: Addresses;
}

export async function askAsPage(
  send: Send<Body>,
  origin: string,
  targets: readonly CorsTarget[],
  signal: AbortSignal,
): Promise<CorsFacts> {
  const answers: { plain: CorsAnswer; preflight: CorsAnswer }[] = [];
  for (const target of targets) {
    const plain = await one(send, 'GET', target, [['origin', origin]], signal);
    const preflight = await one(
      send,
      'OPTIONS',
      target,
      [
        ['origin', origin],
        ['access-control-request-method', 'GET'],
        ['access-control-request-headers', 'authorization'],
      ],
      signal,
    );
    answers.push({ plain, preflight });
  }
  return { origin, answers };
}

async function one(
  send: Send<Body>,
  method: 'GET' | 'OPTIONS',
  { who, url, addresses }: CorsTarget,
  headers: HeaderList,
  signal: AbortSignal,
): Promise<CorsAnswer> {
  const request = `${method} ${bareUrl(url)}`;
  try {
    const reply = await send(
      {
        to: who === 'registry' ? 'registry' : 'authority',
        method,
        url,
        headers,
        body: 'none',
        form: null,
        request: null,
        redirect: 'manual',
        addresses,
      },
      signal,
    );
    await reply.discard();
    return { who, request, status: reply.head.status, headers: reply.head.headers };
  } catch {
    signal.throwIfAborted();
    return { who, request, status: null, headers: [] };
  }
}
