/**
 * What platforms differ in.
 *
 * Rules of this file: a platform is told by what it has, never by its name; what is asked here is cheap, is asked anew wherever
 * it matters, and nothing is asked while modules load, or remembered.
 */

/** Whether this is a page or a worker of a browser, where redirects hide their target and CORS applies. */
export const isBrowser = (): boolean => 'document' in globalThis || 'importScripts' in globalThis;

/**
 * Whether `fetch` sends a stream as the stream's bytes. Browsers that cannot send its name, `[object ReadableStream]`, which is
 * text and has a `Content-Type`; or they take it for a `Request` and not for `fetch`, and then do not look at `duplex`.
 */
export function sendsStreams(): boolean {
  if (!isBrowser()) return true;
  let asked = false;
  const init = {
    method: 'POST',
    body: new ReadableStream(),
    get duplex() {
      asked = true;
      return 'half';
    },
  };
  return !new Request('https://stream.invalid', init).headers.has('content-type') && asked;
}
