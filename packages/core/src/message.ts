/**
 * What travels: requests and the heads of responses, as plain data.
 *
 * Rules of this file: header names are lower case, bodies never appear, and nothing here decides anything.
 */

/** Header fields in wire order, names in lower case. A field that came in several lines appears several times. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** The line that shows a challenge to a page of another origin (WHATWG Fetch, "CORS protocol"). */
export const exposeChallenge = 'Access-Control-Expose-Headers: WWW-Authenticate';

/** Status and header fields of a response. */
export interface Head {
  /** 0: a redirect, of which the platform shows neither status nor target (WHATWG Fetch, "opaque-redirect filtered response"). */
  readonly status: number;
  readonly headers: HeaderList;
  /** Where the response came from when the platform followed redirects by itself; absent otherwise. */
  readonly url?: string;
  /**
   * The platform shows only fields that the server exposes to the page (WHATWG Fetch, "CORS filtered response"): others may be
   * hidden. Of a 401 without `WWW-Authenticate` it says that nobody knows what is asked for.
   */
  readonly filtered?: boolean;
  /** What the caller knows that the hidden `WWW-Authenticate` of a filtered 401 says: the driver's, never a transport's. */
  readonly known?: string;
}

/**
 * Where the time of one request went, in milliseconds. For people: no machine decides by it. `null` is what was not done for
 * this request, as on a kept connection or for a host that is an address.
 */
export interface Timing {
  readonly lookupMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  /** From the request sent to the head of its response. */
  readonly waitMs: number;
}

/** One entry of a registry's `errors` array (distribution-spec "Error Codes"), decoded and bounded by the driver. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** A caller's request as the handshake sees it. Its body stays with the driver. */
export interface RegistryRequest {
  readonly method: string;
  /** Absolute http or https URL. */
  readonly url: string;
  readonly headers: HeaderList;
  /** `replayable` can be sent more than once, `once` (a stream) cannot. */
  readonly body: 'none' | 'replayable' | 'once';
  /** `manual` hands a 3xx to the caller untouched. Default `follow`. */
  readonly redirect?: 'follow' | 'manual';
}

/** Every value of the field `name` (lower case), in wire order. */
export function headerValues(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (const [field, value] of headers) if (field === name) values.push(value);
  return values;
}

/** The first value of the field `name` (lower case), or `null`. */
export function headerValue(headers: HeaderList, name: string): string | null {
  for (const [field, value] of headers) if (field === name) return value;
  return null;
}

/** Whether there may be a challenge that the platform does not show. */
export function hidesChallenge({ headers, filtered }: Head): boolean {
  return filtered === true && headerValue(headers, 'www-authenticate') === null;
}
