/** What `diagnoseCors` finds out: the words of a diagnosis, as data. */

import type { ContactReason } from '@reg/core';

/** Whose answers a page needs: the registry's, and those of the token server that its challenge names. */
export type CorsServer = 'registry' | 'token-server';

export type CorsVerdict =
  /** Nothing is in the way of this page. */
  | 'ok'
  /** No HTTP answer came, by any way of asking: down, no such name, no HTTP, or a certificate that the browser refuses. */
  | 'unreachable'
  /** A request was not answered within the deadline. */
  | 'no-answer'
  /** A page on https may not ask a server on http. */
  | 'mixed-content'
  /** The page's own Content-Security-Policy does not let it ask this server. */
  | 'page-csp'
  /** It answers, and `Access-Control-Allow-Origin` does not let this page read what. */
  | 'origin-refused'
  /** It lets this page read, and sends it on to a server that does not. */
  | 'redirect-refused'
  /** The page may read that a login is wanted, and not where: `WWW-Authenticate` is not exposed. */
  | 'challenge-hidden'
  /** OPTIONS is not answered as a preflight has to be. */
  | 'preflight-refused'
  /** A preflight passes, and does not allow `Authorization`. */
  | 'authorization-not-allowed'
  /** A preflight allows `*`, which stands for every header but `Authorization`. */
  | 'authorization-not-in-wildcard'
  /** The challenge names a token server that nobody may contact on its word; nothing was sent there. */
  | 'realm-refused';

/**
 * How a server is asked; each is one `fetch`.
 * - `plain`: without any header that needs a preflight, as the first request of a handshake
 * - `no-cors`: the answer may not be read, but that there is one is told
 * - `manual`: whether it redirects, which is told to a page that may read it
 * - `authorization`: with a placeholder in `Authorization`, which has the browser send a preflight
 * - `accept`, `content-type`, `other`: with another header that has the browser send one, to see which of them pass
 */
export type CorsAsk = 'plain' | 'no-cors' | 'manual' | 'authorization' | 'accept' | 'content-type' | 'other';

/** One question to a server, and what the page could see of the answer. */
export interface CorsProbe {
  readonly server: CorsServer;
  readonly ask: CorsAsk;
  /** Method, origin and path: `GET https://registry.example/v2/`. */
  readonly request: string;
  /** The header line that was put into it, or `null`. */
  readonly sent: string | null;
  /**
   * - `answer`: it could be read
   * - `opaque`: there was one, and no more is told
   * - `redirect`: it redirects; where to is not told
   * - `failure`: the browser tells nothing
   * - `nothing`: no answer within the deadline
   */
  readonly saw: 'answer' | 'opaque' | 'redirect' | 'failure' | 'nothing';
  /** Of what could be read. */
  readonly status: number | null;
}

/** What an operator adds. */
export interface CorsFix {
  /** Complete, to be pasted; ends with a line feed. */
  readonly lines: string;
  /** Where to, and what it does not do. One line. */
  readonly note: string;
}

/** One is enough: the server that is asked, or a proxy before it. */
export interface CorsFixes {
  /** CNCF Distribution, Debian's `docker-registry`. `null` for a token server. */
  readonly distribution: CorsFix | null;
  readonly nginx: CorsFix;
  readonly caddy: CorsFix;
  readonly traefik: CorsFix;
  /** `null` for a token server. */
  readonly zot: CorsFix | null;
}

export interface CorsDiagnosis {
  /** What was asked of the registry: without query and fragment. */
  readonly url: string;
  /** The origin of this page or worker; `null` outside of browsers, where nobody asks for CORS. */
  readonly page: string | null;
  readonly verdict: CorsVerdict;
  /** Whose answer the verdict is about; `null` where all is well. */
  readonly server: CorsServer | null;
  /** The header line to add, as it is to be sent; `null` where none would help or nobody can say which. */
  readonly header: string | null;
  /** What is wrong and what to do, in one sentence of English. Holds no text of a server but the origin of its URL. */
  readonly summary: string;
  /** Everything that was asked, in order. */
  readonly probes: readonly CorsProbe[];
  /** What to configure; `null` where no server's configuration helps. */
  readonly fixes: CorsFixes | null;
}

/** A verdict with what it is about, before there are words for it. `url` is the server's. */
export type Finding =
  | { readonly verdict: 'ok'; readonly server: null }
  | {
      readonly verdict: 'realm-refused';
      readonly server: 'token-server';
      /** `null` for a realm that is no URL. */
      readonly url: URL | null;
      /** Why the realm was refused. */
      readonly reason: ContactReason;
    }
  | { readonly verdict: ServerVerdict; readonly server: CorsServer; readonly url: URL };

/** What may be found of either server. */
export type ServerVerdict = Exclude<CorsVerdict, 'ok' | 'realm-refused'>;
