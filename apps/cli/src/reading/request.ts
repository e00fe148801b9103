/**
 * A request as the arguments of `reg api` spell it.
 *
 * Rules of this file: what cannot be sent as it is written is a complaint. A secret is not taken from an argument, where every
 * process on the machine can see it, and what frames the message is the transport's.
 */

import { readFile } from 'node:fs/promises';
import { type HeaderList, toVisible } from '@reg/core';
import { isUrl, registryTarget, type Target, urlTarget } from '../registry/argument.ts';
import { manifestTypes } from '../registry/client.ts';
import type { ConnectionOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import { bytesFrom } from './bytes.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

export type Method = (typeof methods)[number];

export interface RequestOptions extends ConnectionOptions {
  readonly registry?: string;
  readonly method?: string;
  readonly header?: readonly string[];
  /** A file, `-` for stdin; a boolean is that of `--no-input`. */
  readonly input?: string | boolean;
  readonly passwordStdin?: boolean;
}

export interface Spelled {
  readonly target: Target;
  readonly method: Method;
  readonly headers: HeaderList;
  /** Where the body is; `null` without one. */
  readonly input: string | null;
}

/** Reads `[METHOD] URL` and the options. Throws a `Complaint` when they make no request. */
export function readRequest(
  first: string | undefined,
  second: string | undefined,
  options: RequestOptions,
): Spelled {
  const [word, text] = second === undefined ? [undefined, first] : [first, second];
  if (text === undefined) throw usage('what is to be asked for? A URL, or a path with -R', 'reg api --help');
  const input = typeof options.input === 'string' ? options.input : null;
  const method = methodFrom(word, options.method) ?? (input === null ? 'GET' : 'POST');
  if (input !== null && (method === 'GET' || method === 'HEAD'))
    throw usage(`a ${method} request has no body`);
  if (input === '') throw usage('--input names no file');
  if (input === '-' && options.passwordStdin === true)
    throw usage('stdin is either the body or the password: the other can come from a file');
  const target = targetFrom(text, options);
  return {
    target,
    method,
    headers: headersFrom(target, method, input !== null, options.header ?? []),
    input,
  };
}

function methodFrom(word: string | undefined, option: string | undefined): Method | null {
  const [first, second] = [word, option].map((text) => (text === undefined ? null : methodIn(text)));
  if (first && second && first !== second) throw usage(`the method is either ${first} or ${second}`);
  return first ?? second ?? null;
}

function methodIn(text: string): Method {
  const method = methods.find((one) => one === text.toUpperCase());
  if (method === undefined) throw usage(`'${text}' is no method: ${methods.join(', ')}`);
  return method;
}

/** A URL, `ghcr.io/v2/…`, or `/v2/…` with `-R`. */
function targetFrom(text: string, options: RequestOptions): Target {
  // `new URL` would take them out and ask for something else.
  if (toVisible(text) !== text || text.includes(' '))
    throw usage('a URL has no blanks and no control characters in it');
  const { registry } = options;
  const named = registry === undefined ? null : registryTarget(registry, options);
  if (text.startsWith('/')) {
    if (named === null) throw usage('a path alone needs its registry', `reg api -R REGISTRY ${pathOf(text)}`);
    return urlTarget(named.url.origin + text, 'api');
  }
  const target = isUrl(text) ? urlTarget(text, 'api') : hostTarget(text, options);
  if (named !== null && named.url.origin !== target.url.origin)
    throw usage(`-R says ${named.shown}, and the URL ${target.url.host}: a path begins with a slash`);
  return target;
}

function hostTarget(text: string, options: RequestOptions): Target {
  const slash = text.indexOf('/');
  if (slash < 0) throw usage('a URL has a path, as in ghcr.io/v2/o/app/tags/list');
  const { url } = registryTarget(text.slice(0, slash), options);
  return urlTarget(url.origin + text.slice(slash), 'api');
}

/** Without its query, which may hold a signature. */
function pathOf(text: string): string {
  return text.split(/[?#]/, 1)[0] ?? text;
}

/** Fields that hold secrets. */
const secretFields: readonly string[] = ['authorization', 'proxy-authorization', 'cookie'];

/** Fields that say how the message is framed, or what the connection is for (RFC 9110 §7.6.1, RFC 9112 §6). */
const framingFields: readonly string[] = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
];

function headersFrom(
  { url }: Target,
  method: Method,
  hasBody: boolean,
  lines: readonly string[],
): HeaderList {
  const own = lines.map(headerIn);
  const names = new Set(own.map(([name]) => name));
  const reads = method === 'GET' || method === 'HEAD';
  return [
    ...own,
    // A registry that is not told what its client knows answers as it did in 2015.
    ...(reads && url.pathname.includes('/manifests/') && !names.has('accept')
      ? ([['accept', manifestTypes]] as const)
      : []),
    // RFC 9110 §8.3: what a body without a type may be taken for.
    ...(hasBody && !names.has('content-type')
      ? ([['content-type', 'application/octet-stream']] as const)
      : []),
  ];
}

function headerIn(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
  // What is no header may be a secret that was pasted into the wrong place.
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name))
    throw usage('-H takes a header line, like "Accept: application/json"');
  if (secretFields.includes(name)) {
    throw usage(
      `-H ${name}: an argument is seen by every process on this machine. A credential is given by -u and --password-stdin, or stored`,
      'reg login --help',
    );
  }
  if (framingFields.includes(name)) throw usage(`-H ${name}: this header is set by what is sent`);
  const value = line.slice(colon + 1).trim();
  for (const char of value) {
    // RFC 9110 §5.5: printable, or a byte above ASCII.
    if ((char < ' ' && char !== '\t') || char === '\u007f' || char > '\u00ff')
      throw usage(`-H ${name}: there is a character in it that no header can hold`);
  }
  return [name, value];
}

/** A body is in memory: a registry that asks for a token is sent it twice. */
const BODY_BYTES = 512 * 1024 * 1024;

/** The bytes of a file, or of stdin. */
export async function bodyFrom(input: string, { stdin, signal }: Surroundings): Promise<Uint8Array> {
  if (input !== '-') {
    try {
      return await readFile(input, { signal });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw usage(`--input cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const body = await bytesFrom(stdin, BODY_BYTES, signal);
  if (body !== null) return body;
  throw usage(`a body of more than ${BODY_BYTES / 1024 / 1024} MiB is not sent from stdin`);
}
