/**
 * The options of a command that talks to a registry: as whom, and how to connect.
 *
 * Rules of this file: a secret is read from stdin or the environment, never from an argument, where every process on the
 * machine can see it.
 */

import { isUtf8 } from 'node:buffer';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { toVisible } from '@reg/core';
import { usage } from '../report/complaint.ts';
import { quote } from '../report/shell.ts';
import type { Input, Surroundings } from '../surroundings.ts';

/** What every command takes. */
export interface CommonOptions {
  readonly quiet?: boolean;
  /** How often `-v` was given. */
  readonly verbose?: number;
  readonly color?: 'auto' | 'always' | 'never';
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
 * The password is read from stdin or `REG_PASSWORD`, and only together with a user name. Were the environment enough, every
 * registry that is named by mistake would be sent the password of another.
 */
export async function givenCredential(
  { username, passwordStdin = false }: NetworkOptions,
  { stdin, env, signal }: Surroundings,
  again: string,
): Promise<GivenCredential | null> {
  const stdinHint = `${again} -u ${quote(toVisible(username ?? 'NAME'))} --password-stdin < FILE`;
  if (username === undefined) {
    if (passwordStdin) throw usage('a password on stdin needs a user name: -u NAME', stdinHint);
    return null;
  }
  // RFC 7617 §2: it would end there.
  if (username.includes(':'))
    throw usage('a user name has no colon in it', `${again} -u NAME --password-stdin < FILE`);
  if (!passwordStdin) {
    const password = env['REG_PASSWORD'] ?? '';
    if (password === '')
      throw usage('-u needs a password, by --password-stdin or in REG_PASSWORD', stdinHint);
    return { username, password, source: '-u and REG_PASSWORD' };
  }
  if (stdin.isTTY === true) throw usage('stdin is a terminal, which would show the password', stdinHint);
  const password = await passwordFrom(stdin, signal);
  if (password === '') throw usage('there is no password on stdin', stdinHint);
  return { username, password, source: '-u and stdin' };
}

/** No password is longer; what is, is the wrong file. */
const LONGEST_PASSWORD = 65_536;

/** All of `stdin`, which is UTF-8, without the line end that editors and `echo` add. */
async function passwordFrom(stdin: Input, signal: AbortSignal): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of addAbortSignal(signal, stdin)) {
    const part = Buffer.from(chunk);
    parts.push(part);
    size += part.length;
    if (size > LONGEST_PASSWORD) throw usage('what is on stdin is too long for a password');
  }
  const bytes = Buffer.concat(parts);
  // Another encoding would make another password of it.
  if (!isUtf8(bytes)) throw usage('the password on stdin is not UTF-8');
  return bytes.toString().replace(/\r?\n$/, '');
}

/** Where to look for stored credentials, as `defaultKeychain` of `@reg/node/credentials` and its like take it. */
export interface Files {
  readonly path?: string;
  readonly flavor?: 'docker' | 'containers';
  readonly env: Surroundings['env'];
}

/**
 * `--authfile` in place of everything else; `--config` before what the environment names. A file or folder that is not there is
 * a complaint: it is a slip of the pen, and nobody would be asked for a password for it.
 */
export function filesFor({ authfile, config }: FileOptions, env: Surroundings['env']): Files {
  if (authfile !== undefined) {
    checkReadable('--authfile', authfile, 'file');
    return { path: authfile, flavor: 'containers', env };
  }
  if (config === undefined) return { env };
  checkReadable('--config', config, 'folder');
  const { REGISTRY_AUTH_FILE: _, DOCKER_AUTH_CONFIG: __, ...rest } = env;
  return { env: { ...rest, DOCKER_CONFIG: config } };
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

/** The authorities in `caFile`, as PEM. */
export function readAuthorities({ caFile }: ConnectionOptions): string | undefined {
  if (caFile === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw usage(`--ca-file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw usage('--ca-file holds no certificate in PEM');
  return text;
}

/** An origin for `--trust-realm`: a scheme, a host, perhaps a port. */
export function readOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === null || !web || url.href !== `${url.origin}/`) {
    // What has a `@` in it may have a password before it.
    const shown = text.includes('@') ? 'what was given' : `'${text}'`;
    throw usage(`--trust-realm takes the origin of a token server, not ${shown}`);
  }
  return url.origin;
}
