/**
 * The options of a command that talks to a registry: as whom, and how to connect.
 *
 * Rules of this file: a secret is read from stdin or the environment, never from an argument, where every process on the
 * machine can see it.
 */

import { isUtf8 } from 'node:buffer';
import { accessSync, constants, createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { toVisible } from '@reg/core';
import { bytesFrom } from '../reading/bytes.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Color } from '../terminal/paint.ts';
import { type Owner, ownerOf } from './owner.ts';

/** What every command takes. */
export interface CommonOptions {
  readonly quiet?: boolean;
  /** How often `-v` was given. */
  readonly verbose?: number;
  readonly color?: Color;
  /** False with `--no-input`. */
  readonly input?: boolean;
}

/** Where credentials are kept. */
export interface FileOptions {
  readonly config?: string;
  readonly authfile?: string;
}

/** How to connect, and where a credential may go. */
export interface ConnectionOptions {
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
  readonly caFile?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly resolve?: readonly string[];
  readonly timeout?: string;
  readonly retries?: string;
  readonly trustRealm?: readonly string[];
}

/** A user name, and where its password is. */
export interface GivenOptions {
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
}

/** The options that every command has that talks to a registry. */
export interface NetworkOptions extends CommonOptions, FileOptions, ConnectionOptions, GivenOptions {
  readonly anonymous?: boolean;
  /** False with `--no-cache`. */
  readonly cache?: boolean;
}

/** What to ask for. */
export interface ScopeOptions {
  readonly push?: boolean;
  readonly scope?: readonly string[];
}

/** A user name and password from the command line, for the one registry it names. */
export interface GivenCredential {
  readonly username: string;
  readonly password: string;
  /** Where they came from, for people. */
  readonly source: string;
}

/**
 * The credential that the options give, or `null` when they give none: then it is looked up.
 *
 * The password is read from stdin, a file or `REG_PASSWORD`, or asked for, and only together with a user name. Were the
 * environment enough, every registry that is named by mistake would be sent the password of another.
 */
export async function givenCredential(
  { username, passwordStdin = false, passwordFile, input }: GivenOptions & CommonOptions,
  surroundings: Surroundings,
  again: string,
): Promise<GivenCredential | null> {
  const { stdin, stderr, env, signal } = surroundings;
  const hint = `${again} -u ${quote(toVisible(username ?? 'NAME'))} --password-stdin < FILE`;
  if (username === undefined) {
    if (passwordStdin) throw usage('a password on stdin needs a user name: -u NAME', hint);
    if (passwordFile !== undefined) throw usage('--password-file needs a user name: -u NAME', hint);
    return null;
  }
  // RFC 7617 §2: it would end there.
  if (username.includes(':'))
    throw usage('a user name has no colon in it', `${again} -u NAME --password-stdin < FILE`);
  if (username === '') throw usage('-u names no user', hint);
  if (passwordStdin) {
    if (stdin.isTTY === true) throw usage('stdin is a terminal, which would show the password', hint);
    const password = await passwordFrom(stdin, 'stdin', signal);
    if (password === '') throw usage('there is no password on stdin', hint);
    return { username, password, source: '-u and stdin' };
  }
  if (passwordFile !== undefined) {
    const password = await passwordIn(passwordFile, signal);
    if (password === '') throw usage(`--password-file: ${passwordFile} is empty`, hint);
    return { username, password, source: '-u and --password-file' };
  }
  const password = env['REG_PASSWORD'] ?? '';
  if (password !== '') return { username, password, source: '-u and REG_PASSWORD' };
  if (stdin.isTTY !== true || stderr.isTTY !== true || input === false)
    throw usage('-u needs a password, by --password-stdin, --password-file or in REG_PASSWORD', hint);
  const { ask } = await import('../terminal/prompt.ts');
  const typed = await ask(`password of ${username}:`, surroundings, {
    hidden: true,
    flag: '--password-stdin',
    hint,
  });
  if (typed === '') throw usage('no password was typed', hint);
  return { username, password: typed, source: '-u and the terminal' };
}

async function passwordIn(path: string, signal: AbortSignal): Promise<string> {
  if (path === '') throw usage('--password-file names no file');
  try {
    return await passwordFrom(createReadStream(path), path, signal);
  } catch (error) {
    throw error instanceof Complaint || signal.aborted
      ? error
      : // What names no file may be the password itself.
        usage(`--password-file: ${faultOf(existsSync(path) ? path : 'the file', error)}`);
  }
}

/** No password is longer; what is, is the wrong file. */
const LONGEST_PASSWORD = 65_536;

/** All of `input`, which is UTF-8, without the line end that editors and `echo` add. */
export async function passwordFrom(input: Readable, name: string, signal: AbortSignal): Promise<string> {
  const bytes = await bytesFrom(input, LONGEST_PASSWORD, signal);
  if (bytes === null) throw usage(`what is in ${name} is too long for a password`);
  // Another encoding would make another password of it.
  if (!isUtf8(bytes)) throw usage(`the password in ${name} is not UTF-8`);
  return bytes.toString().replace(/\r?\n$/, '');
}

/** Where to look for stored credentials, as `defaultKeychain` of `@reg/node/credentials` and its like take it. */
export interface Files extends Owner {
  readonly path?: string;
  readonly flavor?: 'docker' | 'containers';
}

/**
 * `--authfile` in place of everything else; `--config` before what the environment names. A file or folder that is not there is
 * a complaint: it is a slip of the pen, and nobody would be asked for a password for it.
 */
export function filesFor({ authfile, config }: FileOptions, env: Surroundings['env']): Files {
  if (authfile !== undefined) {
    checkReadable('--authfile', authfile, 'file');
    return { path: authfile, flavor: 'containers', ...ownerOf(env) };
  }
  if (config === undefined) return ownerOf(env);
  checkReadable('--config', config, 'folder');
  const { REGISTRY_AUTH_FILE: _, DOCKER_AUTH_CONFIG: __, ...rest } = env;
  return ownerOf({ ...rest, DOCKER_CONFIG: config });
}

function checkReadable(option: string, path: string, kind: 'file' | 'folder'): void {
  if (path === '') throw usage(`${option} names no ${kind}`);
  let isRight: boolean;
  try {
    const status = statSync(path);
    isRight = kind === 'file' ? status.isFile() : status.isDirectory();
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw usage(`${option}: ${faultOf(path, error)}`);
  }
  if (!isRight) throw usage(`${option}: ${path} is no ${kind}`);
}

/** Why a file cannot be read. The system's message without the name of its call. */
function faultOf(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  return code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read (${code})`;
}

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

/** A day: longer is no timeout. */
const LONGEST_TIMEOUT = 86_400;
const MOST_RETRIES = 100;

/** A whole number from `least` to `most`, for an option that counts. Throws a `Complaint` for any other text. */
export function readCount(option: string, text: string, most: number, least = 0): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= least && count <= most))
    throw usage(`${option} takes a whole number from ${least} to ${most}`);
  return count;
}

/** Seconds, more than 0, for an option. Throws a `Complaint` for any other text. */
export function readSeconds(option: string, text: string): number {
  // `Number` alone would take `0x10` and an empty text.
  const seconds = /^\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= LONGEST_TIMEOUT) return seconds;
  throw usage(`${option} takes seconds, more than 0 and at most ${LONGEST_TIMEOUT}`);
}

/** The scopes that were named, as one text. Throws a `Complaint` for what is none (RFC 6749 §3.3, `scope-token`). */
export function readScopes(scopes: readonly string[]): string {
  if (!scopes.every((scope) => /^[!#-[\]-~]+$/.test(scope)))
    throw usage('--scope takes one scope, like repository:o/app:pull,push; for more it is repeated');
  return scopes.join(' ');
}

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

/** An origin of the web that `text` is and no more; `null` for what is none. */
export function originIn(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  return url !== null && web && url.href === `${url.origin}/` ? url.origin : null;
}
