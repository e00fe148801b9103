/**
 * The core's `Send` over the platform's `fetch`.
 *
 * Rules of this file:
 * 1. What the core asks for goes on the wire as it is. A page adds no header of its own, since each one but a few would have the
 *    browser ask for permission first; elsewhere a `User-Agent` is, since some servers refuse clients without (Q57).
 * 2. No cookie, no client certificate, no referrer goes along; a token is kept in no HTTP cache, nor what came for one.
 * 3. A fetch that never settles ends, unless it may still be uploading, for longer than the deadline is.
 */

import type { Head, NetworkPhase, RegistryRequest } from '@reg/core';
import type { Outgoing, Reply, Send } from '@reg/core/driver';
import type { Content } from './content.ts';
import { isBrowser } from './platform.ts';

/** A caller's request with what fetch needs for it beside what the core knows. */
export interface Call extends RegistryRequest {
  readonly carry: Content['carry'];
  readonly settings: RequestInit;
}

/** How long a final 4xx is kept from the caller at most for what its body says: most bodies come with their head. */
const peekMs = 2_000;

/**
 * Sends with `fetch`.
 *
 * @param userAgent sent where the caller sets none; `null` for what the platform sends
 * @param headMs how long a request waits for the head of its response, unless it is an upload that may take long
 */
export function createSend(
  fetch: typeof globalThis.fetch,
  userAgent: string | null,
  headMs: number,
): Send<Response, Call> {
  return async (outgoing, signal) => {
    const late = new AbortController();
    const init = initOf(outgoing, userAgent, [late.signal, ...(isPlatforms(signal) ? [signal] : [])]);
    try {
      const sent = fetch(outgoing.url, init);
      // One that ignores its signal may settle yet, and nobody waits for it.
      const dropped = (response: Response): void => {
        if (signal.aborted || late.signal.aborted) cancelled(response);
      };
      sent.then(dropped, () => {});
      // The core has a deadline for what goes to a token server.
      const bounded = outgoing.to === 'registry' && !isLong(outgoing, init.body);
      return replyOf(bounded ? await within(headMs, sent, late) : await sent);
    } catch (error) {
      throw signal.aborted ? error : faultOf(error, init.body instanceof ReadableStream);
    }
  };
}

/** What the default deadline of 30 s is enough for on a line of 70 kbit/s, and room for any manifest but a monstrous one. */
const briefBytes = 262_144;

/**
 * Whether nobody knows how long it takes: a long upload, or the end of one, for which a registry may have to put gigabytes
 * together (OCI distribution-spec, "Pushing a blob in chunks"). Where an upload ends is the registry's choice of URL; a manifest's is not.
 */
function isLong({ method, url }: Outgoing<Call>, body: RequestInit['body']): boolean {
  const endsUpload = method === 'PUT' && !new URL(url).pathname.includes('/manifests/');
  return endsUpload || lengthOf(body) > briefBytes;
}

/** In bytes; of text in characters, of which each is a byte at least. */
function lengthOf(body: RequestInit['body']): number {
  if (body === null || body === undefined) return 0;
  if (typeof body === 'string') return body.length;
  return body instanceof Blob ? body.size : Number.POSITIVE_INFINITY;
}

/** The driver's own stand-in for a signal never aborts. */
function isPlatforms(signal: object): signal is AbortSignal {
  return signal instanceof AbortSignal;
}

function initOf(
  { to, method, headers, body, form, request, redirect }: Outgoing<Call>,
  userAgent: string | null,
  signals: AbortSignal[],
): RequestInit {
  const fields = headers.map(([name, value]): [string, string] => [name, value]);
  if (userAgent !== null && !fields.some(([name]) => name === 'user-agent')) {
    fields.push(['user-agent', userAgent]);
  }
  const carry = body === 'caller' && request !== null ? request.carry : form;
  return {
    // A browser's cache does not look at `Authorization`: it would answer the next login, or none, with what came for this one.
    ...(to === 'authority' || fields.some(([name]) => name === 'authorization') ? { cache: 'no-store' } : {}),
    ...(to === 'authority' ? {} : request?.settings),
    ...(carry instanceof ReadableStream ? { duplex: 'half' } : {}),
    method,
    headers: fields,
    body: carry,
    redirect,
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.any(signals),
  };
}

/** What `sent` resolves to, unless `ms` pass first: then it is aborted, whether it listens or not. */
async function within<T>(ms: number, sent: Promise<T>, late: AbortController): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    const end = (): void => {
      const error = Object.assign(new Error(`no response in ${ms} ms`), {
        phase: 'head',
        code: 'HEAD_TIMEOUT',
      });
      reject(error);
      late.abort(error);
    };
    // More than 31 bits would ring at once.
    timer = setTimeout(end, Math.min(ms, 2_147_483_647));
  });
  try {
    return await Promise.race([sent, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function replyOf(response: Response): Reply<Response> {
  return {
    head: headOf(response),
    raw: response,
    async text(limit) {
      const { text, size } = await beginningOf(response.body?.getReader(), limit);
      return size > limit ? null : text;
    },
    async peek(limit) {
      const late = new AbortController();
      const reader = response.clone().body?.getReader();
      // A clone that nobody reads keeps all that the caller reads.
      late.signal.addEventListener('abort', () => reader?.cancel().catch(() => {}));
      return (await within(peekMs, beginningOf(reader, limit), late)).text;
    },
    discard: async () => cancelled(response),
  };
}

function headOf(response: Response): Head {
  return {
    status: response.status,
    headers: [...response.headers],
    ...(response.redirected ? { url: response.url } : {}),
    ...(response.type === 'cors' ? { filtered: true } : {}),
  };
}

/** The beginning of a body, decoded, and how many bytes were read: more than `limit` when there are more. Reads no further. */
async function beginningOf(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
  limit: number,
): Promise<{ text: string; size: number }> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  while (reader !== undefined && size <= limit) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, limit - size), { stream: true });
    size += value.length;
  }
  // The end of a clone's cancellation is that of the other's.
  reader?.cancel().catch(() => {});
  return { text: text + decoder.decode(), size };
}

function cancelled(response: Response): void {
  response.body?.cancel().catch(() => {});
}

/** What Node, Bun and Deno call errors of each phase. Browsers call all of them nothing. */
const phases: readonly (readonly [NetworkPhase, RegExp])[] = [
  ['lookup', /^(ENOTFOUND|EAI_)/],
  ['connect', /^(ECONNREFUSED|EHOST|ENET|UND_ERR_CONNECT)/],
  ['tls', /CERT|TLS|SSL|UNABLE_TO_/],
];

/** Chromium's rule, which its error does not tell. */
const streamed =
  'fetch failed; a browser sends a stream over HTTP/2 or HTTP/3 only: elsewhere give bytes or a Blob';

/**
 * What the core is told of an error of fetch. Node has what happened in the cause, Bun in the error itself; a browser says
 * nothing, on purpose, and what others say beside a code may repeat a URL.
 */
function faultOf(error: unknown, stream: boolean): Error {
  const known = [error, error instanceof Error ? error.cause : null].find(hasCode);
  if (known === undefined && isBrowser()) {
    return fault(stream ? streamed : 'fetch failed', 'unknown', 'FETCH_FAILED', error);
  }
  if (known === undefined) return fault('fetch failed', toldPhase(error), 'REQUEST_FAILED', error);
  const phase = phases.find(([, codes]) => codes.test(known.code))?.[0] ?? 'head';
  return fault(known.message, phase, known.code, error);
}

/** What Deno says of each phase, in the cause. A URL, which it says before that, has no spaces. */
const words: readonly (readonly [NetworkPhase, RegExp])[] = [
  ['lookup', /: dns error: /],
  ['tls', /: invalid peer certificate: |: received /],
  ['connect', /: client error \(Connect\): /],
];

function toldPhase(error: unknown): NetworkPhase {
  const cause = error instanceof Error ? error.cause : null;
  const said = cause instanceof Error ? cause.message : '';
  return words.find(([, how]) => how.test(said))?.[0] ?? 'unknown';
}

function fault(message: string, phase: NetworkPhase, code: string, cause: unknown): Error {
  return Object.assign(new Error(message, { cause }), { phase, code });
}

function hasCode(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
