/**
 * What the servers receive and answer, as data.
 *
 * Rules of this file: a handler returns a `Reply` and never touches a socket; how a reply goes over the wire is decided
 * in `deliver.ts`, what a fault makes of it in `faults.ts`.
 */

export type HeaderValues = Readonly<Record<string, string | readonly string[]>>;

/** An answer in full. */
export interface Reply {
  readonly status: number;
  /** An array makes one field line per value. */
  readonly headers: HeaderValues;
  readonly body: Uint8Array;
  /** Field lines written as they stand, one byte per UTF-16 unit, which `node:http` would refuse or fold. */
  readonly verbatim?: readonly string[];
}

/** A request as a handler sees it. */
export interface Received {
  readonly method: string;
  /** Absolute, on the origin of the server that got it. */
  readonly url: URL;
  /** Names in lower case; several field lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Reads the whole body. A handler that refuses a request does not call it, as real registries do not. */
  body(): Promise<Uint8Array>;
}

export type Handler = (request: Received) => Reply | Promise<Reply>;

const nothing = new Uint8Array(0);

/** A reply without a body. */
export function empty(status: number, headers: HeaderValues = {}): Reply {
  return { status, headers, body: nothing };
}

/** A reply whose body is `value` as JSON. */
export function json(status: number, value: unknown, headers: HeaderValues = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** An error as the distribution spec shapes it ("Error Codes"). */
export function registryError(
  status: number,
  code: string,
  message: string,
  headers: HeaderValues = {},
): Reply {
  return json(status, { errors: [{ code, message, detail: null }] }, headers);
}
