/**
 * How to connect, read from the options and the files that they name.
 *
 * Rules of this file: what no connection could be made with is a complaint that names its option, before anybody is asked.
 */

import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { Complaint, usage } from '../report/complaint.ts';
import { faultOf } from './files.ts';
import type { ConnectionOptions } from './options.ts';
import { originIn, readCount, readSeconds } from './values.ts';

/** How to connect, read from the options and the files that they name. */
export interface Connection {
  /** PEM of the authorities to trust, in place of all others. */
  readonly ca: string | undefined;
  /** The client certificate, PEM. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** Addresses by `host:port`, in place of what is looked up. */
  readonly pinned: ReadonlyMap<string, string>;
  readonly timeoutMs: number | undefined;
  /** Sends of one token request, the first included. */
  readonly attempts: number | undefined;
  /** Origins. */
  readonly trustRealm: readonly string[];
}

/** Reads and checks what the options say. Rejects with a `Complaint` that names the option. Nothing is asked of the network. */
export async function readConnection(options: ConnectionOptions): Promise<Connection> {
  const { caFile, resolve = [], timeout, retries, trustRealm = [] } = options;
  const seconds = timeout === undefined ? undefined : readSeconds('--timeout', timeout);
  const again = retries === undefined ? undefined : readCount('--retries', retries, MOST_RETRIES);
  const ca = caFile === undefined ? undefined : readPem('--ca-file', caFile, 'CERTIFICATE');
  const client = readClientCertificate(options);
  // What TLS is made of is heavy, and mostly not needed for this.
  if (ca !== undefined || client !== undefined) await checkPem(ca, client);
  return {
    ca,
    client,
    pinned: new Map(resolve.map(readPin)),
    timeoutMs: seconds === undefined ? undefined : Math.ceil(seconds * 1_000),
    attempts: again === undefined ? undefined : again + 1,
    trustRealm: trustRealm.map(readOrigin),
  };
}

const MOST_RETRIES = 100;

/** 4 MiB: every authority that browsers trust, as PEM, is a quarter of one. */
const LONGEST_PEM = 4_194_304;

function readPem(option: string, path: string, label: string): string {
  if (path === '') throw usage(`${option} names no file`);
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > LONGEST_PEM) throw usage(`${option}: ${path} is larger than 4 MiB`);
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw error instanceof Complaint ? error : usage(`${option}: ${faultOf(path, error)}`);
  }
  const begins = text
    .split('\n')
    .some((line) => line.startsWith('-----BEGIN ') && line.includes(`${label}-----`));
  if (begins) return text;
  throw usage(`${option}: ${path} holds no ${label.toLowerCase()} in PEM`);
}

function readClientCertificate({ cert, key }: ConnectionOptions): Connection['client'] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw usage('--key needs its certificate, --cert FILE');
  if (key === undefined) throw usage('--cert needs its key, --key FILE');
  return { cert: readPem('--cert', cert, 'CERTIFICATE'), key: readPem('--key', key, 'PRIVATE KEY') };
}

/** What no socket could be made with would else be found when the first one is made. */
async function checkPem(ca: string | undefined, client: Connection['client']): Promise<void> {
  const { createPrivateKey, X509Certificate } = await import('node:crypto');
  const certificateIn = (option: string, text: string) =>
    orUsage(() => new X509Certificate(text), `${option} holds a certificate that cannot be read`);
  if (ca !== undefined) certificateIn('--ca-file', ca.slice(ca.indexOf('-----BEGIN CERTIFICATE-----')));
  if (client === undefined) return;
  const { cert, key } = client;
  const leaf = certificateIn('--cert', cert.slice(cert.indexOf('-----BEGIN CERTIFICATE-----')));
  const fault = key.includes('ENCRYPTED')
    ? 'is locked by a passphrase'
    : 'holds a private key that cannot be read';
  // The system's words are left out: what they say about is a key.
  const secret = orUsage(() => createPrivateKey(key), `--key ${fault}`);
  if (!leaf.checkPrivateKey(secret)) throw usage('--key is not the key of --cert');
}

function orUsage<T>(read: () => T, message: string): T {
  try {
    return read();
  } catch {
    throw usage(message);
  }
}

/** `registry.example:443:10.0.0.1` as curl has it; the address may be in brackets. */
function readPin(text: string): readonly [string, string] {
  const wrong = usage('--resolve takes a host name, a port and an address: registry.example:443:10.0.0.1');
  const [, name = '', port = '', address = ''] = /^([^:]{1,253}):(\d{1,5}):(.{2,50})$/.exec(text) ?? [];
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  const url = `http://${name}/`;
  if (!/^[A-Za-z0-9._-]+$/.test(name) || !URL.canParse(url) || isIP(bare) === 0) throw wrong;
  const { hostname } = new URL(url);
  if (isIP(hostname) !== 0 || !(Number(port) >= 1 && Number(port) <= 65_535)) throw wrong;
  return [`${hostname}:${Number(port)}`, bare];
}

/** An origin for `--trust-realm`: a scheme, a host, perhaps a port. */
function readOrigin(text: string): string {
  const origin = originIn(text);
  if (origin !== null) return origin;
  // What has a `@` in it may have a password before it.
  const shown = text.includes('@') ? 'what was given' : `'${text}'`;
  throw usage(`--trust-realm takes the origin of a token server, not ${shown}`);
}
