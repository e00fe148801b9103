/**
 * The requests of a diagnosis.
 *
 * Rules of this file: it asks and tells what it saw, and judges nothing. No cookie, no credential and no referrer goes along;
 * bodies are not read. `fetch` is waited for until the deadline, whether it listens to its signal or not.
 *
 * What stands in `Authorization` is a scheme of no meaning without credentials: a server that knows schemes takes the request for
 * one without a login. A made-up password, or a made-up token, would be counted as somebody's failed login.
 */

import type { CorsAsk, CorsProbe, CorsServer } from './diagnosis.ts';
import type { Fact } from './judge.ts';

/** What a request is sent with. Names and values are those of the browser's rules for preflights (WHATWG Fetch §2.2.2). */
const settings: Readonly<Record<CorsAsk, { readonly init: RequestInit; readonly field: Field | null }>> = {
  plain: { init: {}, field: null },
  'no-cors': { init: { mode: 'no-cors' }, field: null },
  manual: { init: { redirect: 'manual' }, field: null },
  authorization: { init: {}, field: ['Authorization', 'CORS-Probe'] },
  // More than 128 bytes: a shorter one needs no preflight.
  accept: { init: {}, field: ['Accept', `application/json, ${'application/cors-probe, '.repeat(5)}*/*`] },
  'content-type': { init: {}, field: ['Content-Type', 'application/json'] },
  other: { init: {}, field: ['X-CORS-Probe', '1'] },
};

type Field = readonly [name: string, value: string];

/** Asks `url` once. Resolves to what was seen, and never rejects. */
export async function probe(
  fetch: typeof globalThis.fetch,
  server: CorsServer,
  url: URL,
  ask: CorsAsk,
  signal: AbortSignal,
): Promise<Fact> {
  const { init, field } = settings[ask];
  const about = {
    server,
    ask,
    request: `GET ${url.origin}${url.pathname}`,
    sent: field === null ? null : field.join(': '),
  };
  const blind = (saw: CorsProbe['saw']): Fact => ({
    ...about,
    saw,
    status: null,
    filtered: false,
    challenge: null,
    digest: false,
  });
  const late = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const sent = send();
  async function send(): Promise<Response> {
    return fetch(url.href, {
      ...init,
      ...(field === null ? {} : { headers: [[...field]] }),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      // A preflight is then asked for again as well, where the browser knows one.
      cache: 'no-store',
      signal,
    });
  }
  try {
    const response = await Promise.race([sent, late]);
    if (response === null) {
      // It may settle yet, and nobody waits for it.
      sent.then(discard, () => {});
      return blind('nothing');
    }
    discard(response);
    if (response.type === 'opaque') return blind('opaque');
    if (response.type === 'opaqueredirect') return blind('redirect');
    return {
      ...about,
      saw: 'answer',
      status: response.status,
      filtered: response.type === 'cors',
      challenge: response.headers.get('www-authenticate'),
      digest: response.headers.has('docker-content-digest'),
    };
  } catch {
    return blind(signal.aborted ? 'nothing' : 'failure');
  }
}

function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}
