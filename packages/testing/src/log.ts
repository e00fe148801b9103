/**
 * The request log: what reached which server, in the order of arrival.
 *
 * Rules of this file: an entry is made when a request's head has been read, before any fault acts, so that a request
 * that is never answered is counted too. Entries hold secrets as they came: tests assert on them.
 */

/** `registry` is the registry, `token` its token server, `blobs` where it redirects blob downloads to. */
export type ServerName = 'registry' | 'token' | 'blobs';

export interface LoggedRequest {
  readonly server: ServerName;
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  /** Names in lower case; several field lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The first 4 KiB of the body as UTF-8, once a handler has read it; else empty. */
  readonly body: string;
  /** Status that was sent, or `null` as long as none was. */
  readonly status: number | null;
  /** Epoch milliseconds of arrival, by the clock of `startRegistry`. */
  readonly at: number;
}

/** Which requests are meant. What is left out matches all. */
export interface RequestFilter {
  readonly server?: ServerName;
  readonly method?: string;
  /** A string is compared with the path without its query, an expression is tried on path and query. */
  readonly path?: string | RegExp;
}

export interface Log {
  readonly entries: readonly LoggedRequest[];
  begin(request: Omit<LoggedRequest, 'at' | 'status' | 'body'>): LogEntry;
}

/** The server's own hold on an entry. */
export interface LogEntry {
  readonly request: LoggedRequest;
  sent(status: number): void;
  read(body: Uint8Array): void;
}

const BODY_KEPT = 4_096;

export function createLog(clock: () => number): Log {
  const entries: LoggedRequest[] = [];
  return {
    entries,
    begin(request) {
      const entry: { -readonly [K in keyof LoggedRequest]: LoggedRequest[K] } = {
        ...request,
        body: '',
        status: null,
        at: clock(),
      };
      entries.push(entry);
      return {
        request: entry,
        sent: (status) => {
          entry.status = status;
        },
        read: (body) => {
          entry.body = Buffer.from(body.subarray(0, BODY_KEPT)).toString();
        },
      };
    },
  };
}

/** Whether `filter` means `request`. */
export function matches(filter: RequestFilter, request: LoggedRequest): boolean {
  if (filter.server !== undefined && filter.server !== request.server) return false;
  if (filter.method !== undefined && filter.method !== request.method) return false;
  if (filter.path === undefined) return true;
  if (typeof filter.path === 'string') return request.url.split('?', 1)[0] === filter.path;
  return filter.path.test(request.url);
}
