/**
 * Cross-origin answers (WHATWG Fetch, "CORS protocol"), as one operator might configure them.
 *
 * Rules of this file: headers are static, as CNCF Distribution's are, so that a missing one can be left out by name;
 * a preflight is answered before authentication unless `preflight` says otherwise.
 */

import type { ServerName } from './log.ts';
import { empty, type HeaderValues, type Received, type Reply, registryError } from './reply.ts';

export interface CorsOptions {
  /** Servers that answer with these headers. Default: all. */
  readonly servers?: readonly ServerName[];
  /** `Access-Control-Allow-Origin`. Default `*`. */
  readonly origin?: string;
  /** `Access-Control-Allow-Methods`. */
  readonly methods?: readonly string[];
  /** `Access-Control-Allow-Headers`. `*` never covers `Authorization` (requirement 144). */
  readonly allowHeaders?: readonly string[];
  /** `Access-Control-Expose-Headers`: what a page may read (requirement 145). */
  readonly exposeHeaders?: readonly string[];
  /** Status of a preflight; anything outside 200–299 fails it. Distribution with auth answers 401 (Q75). Default 204. */
  readonly preflight?: number;
  /** Statuses whose responses have the headers. Default: all; nginx without `always` leaves them off errors. */
  readonly statuses?: readonly number[];
}

/** Every response header a registry client needs to read in a browser. */
export const exposedHeaders = [
  'WWW-Authenticate',
  'Docker-Content-Digest',
  'Docker-Upload-UUID',
  'Link',
  'Location',
  'Content-Range',
  'Range',
  'Retry-After',
  'Warning',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'OCI-Subject',
  'OCI-Filters-Applied',
] as const;

export interface Cors {
  /** The answer to a preflight, or `null` when `request` is none. */
  preflight(request: Pick<Received, 'method' | 'headers'>): Reply | null;
  /** `reply` with the headers every response gets. */
  decorate(reply: Reply): Reply;
}

/** The cross-origin behaviour of one server, or `null` when it has none. */
export function createCors(server: ServerName, option: boolean | CorsOptions): Cors | null {
  if (option === false) return null;
  const options = option === true ? {} : option;
  if (options.servers !== undefined && !options.servers.includes(server)) return null;

  const always: Record<string, string> = { 'Access-Control-Allow-Origin': options.origin ?? '*' };
  const expose = options.exposeHeaders ?? exposedHeaders;
  if (expose.length > 0) always['Access-Control-Expose-Headers'] = expose.join(', ');
  if (options.origin !== undefined && options.origin !== '*') always['Vary'] = 'Origin';

  const allowed: HeaderValues = {
    'Access-Control-Allow-Methods': (
      options.methods ?? ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
    ).join(', '),
    'Access-Control-Allow-Headers': (
      options.allowHeaders ?? ['Authorization', 'Accept', 'Content-Type', 'Content-Range', 'Range']
    ).join(', '),
  };
  const status = options.preflight ?? 204;

  return {
    preflight({ method, headers }) {
      if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return null;
      if (status < 200 || status > 299)
        return registryError(status, 'UNAUTHORIZED', 'authentication required');
      return empty(status, allowed);
    },
    decorate: (reply) =>
      options.statuses?.includes(reply.status) === false
        ? reply
        : { ...reply, headers: { ...reply.headers, ...always } },
  };
}
