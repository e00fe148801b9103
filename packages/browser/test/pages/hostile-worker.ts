/**
 * A service worker that answers in the place of a registry or its token server.
 *
 * Rules of this file: the query of its own URL says what it does (`act`), to requests whose URL begins with what (`at`), and
 * where it would have secrets sent (`to`).
 */

import { takeOver } from './worker-scope.ts';

const query = new URL(location.href).searchParams;
const to = query.get('to') ?? '';

/** Nothing, for ever. */
const silence = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });

function forged(): Response | Promise<Response> {
  const act = query.get('act');
  switch (act) {
    case 'challenge':
      return new Response('{}', { status: 401, headers: { 'WWW-Authenticate': `Bearer realm="${to}"` } });
    case 'downgrade':
      return new Response('{}', { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } });
    case 'token':
      return Response.json({ token: 'forged', expires_in: 300 });
    case 'redirect':
      return Response.redirect(to, 307);
    case 'error':
      return Response.error();
    case 'silence':
      return new Promise(() => {});
    case 'endless':
      return new Response(silence, { headers: { 'Content-Type': 'application/json' } });
    default:
      throw new TypeError(`no act is called ${act}`);
  }
}

takeOver();
addEventListener('fetch', (event) => {
  if (event.request.url.startsWith(query.get('at') ?? '-')) event.respondWith(forged());
});
