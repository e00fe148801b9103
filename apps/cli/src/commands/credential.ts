/**
 * `reg credential`: the protocol of Docker's credential helpers, over this command's own look-up.
 *
 * Rules of this file: as a helper it speaks on stdout alone, and knows two exit codes; it asks nobody, and never itself: where a
 * config names it, what stands beside that counts. What it is given to keep is in a file of its own, since Docker rewrites its
 * config.json after a `store`, and Podman's auth.json does not outlive the session; that file is looked into first, so that what
 * was stored is what is found.
 */

import type { Readable } from 'node:stream';
import { type Credential, toVisible } from '@reg/core';
import {
  CredentialsError,
  defaultKeychain,
  dockerKeychain,
  eraseCredential,
  helperIsNamed,
  listCredentials,
  lockedConfigVariable,
  saveCredential,
} from '../credentials/keep.ts';
import { keyedTarget } from '../credentials/name.ts';
import { closeFile, ownFile, ownHelper, unasked } from '../credentials/own.ts';
import { placeFor } from '../credentials/place.ts';
import { bytesFrom } from '../reading/bytes.ts';
import type { Target } from '../registry/argument.ts';
import { filesFor } from '../registry/files.ts';
import type { CommonOptions, FileOptions } from '../registry/options.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { type ExitCode, exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface CredentialOptions extends FileOptions, CommonOptions {}

type Action = 'get' | 'store' | 'erase' | 'list';

const byHand = {
  get: 'echo ghcr.io | reg credential get',
  store: 'reg login ghcr.io',
  erase: 'reg logout ghcr.io',
} as const;

/** What Docker takes for "nobody is logged in", by the letter (requirement 124). */
const notFound = 'credentials not found in native keychain';

/** The user name of an identity token (requirement 126). */
const tokenUser = '<token>';

/** `reg credential get|store|erase|list` */
export async function credential(
  action: Action,
  options: CredentialOptions,
  surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  const { stdout, signal } = surroundings;
  const isRead = action !== 'list';
  if (isRead && surroundings.stdin.isTTY === true) {
    throw usage(`reg credential ${action} reads stdin, as programs call it`, byHand[action]);
  }
  try {
    const input = isRead ? await textFrom(surroundings.stdin, signal) : '';
    const answer = await answerTo(action, input, options, surroundings);
    if (answer !== null) stdout.write(`${answer}\n`);
    return undefined;
  } catch (error) {
    if (signal.aborted || !isFault(error)) throw error;
    stdout.write(`${toVisible(error.message)}\n`);
    return exitCode.unexpected;
  }
}

/** What goes wrong in the ordinary way, and is told by the protocol. */
function isFault(error: unknown): error is Error {
  return error instanceof Refusal || error instanceof CredentialsError || error instanceof Complaint;
}

/** What the protocol answers where there is nothing, or too little. */
class Refusal extends Error {}

async function answerTo(
  action: Action,
  input: string,
  options: CredentialOptions,
  surroundings: Surroundings,
): Promise<string | null> {
  switch (action) {
    case 'get':
      return JSON.stringify(await get(input.trim(), options, surroundings));
    case 'store':
      await store(input, options, surroundings);
      return null;
    case 'erase':
      await erase(input.trim(), options, surroundings);
      return null;
    case 'list':
      return JSON.stringify(await list(options, surroundings));
  }
}

async function get(
  server: string,
  options: CredentialOptions,
  { env, signal }: Surroundings,
): Promise<object> {
  const { url } = targetOf(server);
  // Asked by a helper that it asked itself, under whichever name.
  if (unasked.isIn(env)) throw new Refusal(notFound);
  const own = ownFile(env);
  const keychains = [
    ...(hasFile(options) || own === null ? [] : [dockerKeychain({ path: own, env })]),
    defaultKeychain({ ...withoutSelf(filesFor(options, env)) }),
  ];
  for (const keychain of keychains) {
    const found = await keychain.find(url.origin, null, { signal });
    if (found === null) continue;
    if (found.credential === null) break;
    return { ServerURL: server, ...loginOf(found.credential) };
  }
  throw new Refusal(notFound);
}

function loginOf(credential: Credential): { readonly Username: string; readonly Secret: string } {
  switch (credential.type) {
    case 'password':
      return { Username: credential.username, Secret: credential.password };
    case 'identity':
      return { Username: tokenUser, Secret: credential.token };
    case 'registry':
      throw new Refusal('what is kept is a registry token, which a credential helper cannot hand on');
  }
}

async function store(input: string, options: CredentialOptions, { env }: Surroundings): Promise<void> {
  const { ServerURL: server, Username: username, Secret: secret } = entryIn(input);
  const { registry } = targetOf(server);
  if (username === '') throw new Refusal('no credentials username');
  const kept: Credential =
    username === tokenUser
      ? { type: 'identity', token: secret }
      : { type: 'password', username, password: secret };
  const place = placeOf(options, env);
  if (!hasFile(options) && place?.path !== undefined) await closeFile(place.path);
  await saveCredential(registry, kept, place);
}

/** What a helper is given to keep. No message shows any of it. */
function entryIn(input: string): {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
} {
  let entry: unknown;
  try {
    entry = JSON.parse(input);
  } catch {
    throw new Refusal('what is on stdin is not JSON');
  }
  const text = (name: string): string => {
    const value: unknown =
      typeof entry === 'object' && entry !== null
        ? Object.getOwnPropertyDescriptor(entry, name)?.value
        : undefined;
    if (value !== undefined && typeof value !== 'string') throw new Refusal(`"${name}" is not a string`);
    return value ?? '';
  };
  return { ServerURL: text('ServerURL').trim(), Username: text('Username'), Secret: text('Secret') };
}

async function erase(server: string, options: CredentialOptions, { env }: Surroundings): Promise<void> {
  const { registry } = targetOf(server);
  await eraseCredential(registry, placeOf(options, env));
  // Who has locked a config forgets what is in it without us, and would wait for us while we wait for the lock.
  if (hasFile(options) || env[lockedConfigVariable]) return;
  // Whoever has it installed in Docker's config logs out of what stands beside it there as well: that would answer next.
  const docker = placeFor(options, env);
  if (docker.flavor !== 'docker' || !(await helperIsNamed(registry, ownHelper, docker))) return;
  await eraseCredential(registry, withoutSelf(docker));
}

/** The user of each registry that `get` answers for, by the name that Docker has for it. */
async function list(
  options: CredentialOptions,
  { env, signal }: Surroundings,
): Promise<Readonly<Record<string, string>>> {
  // Asked by itself under another name, which a config has for it.
  if (unasked.isIn(env)) return {};
  const own = ownFile(env);
  const files = withoutSelf(filesFor(options, env));
  const listings = [
    await listCredentials({ ...files, signal }),
    ...(hasFile(options) || own === null ? [] : [await listCredentials({ path: own, env, signal })]),
  ];
  // `get` fails on it as well, and a list without it would be taken for all there is.
  const unread = listings.flatMap(({ problems }) => problems).find(({ kind }) => kind === 'unreadable');
  if (unread !== undefined) throw new Refusal(`what is in ${unread.source} is not known: ${unread.why}`);
  const users: Record<string, string> = {};
  for (const { registry, type, username, usedBy } of listings.flatMap(({ credentials }) => credentials)) {
    if (!usedBy.includes('default') || type === 'registry' || registry.includes('/')) continue;
    const server = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
    users[server] = type === 'identity' ? tokenUser : (username ?? '');
  }
  return users;
}

/** The registry in what Docker and Podman name one by: a host, or an address that is cut after it. */
function targetOf(server: string): Target {
  if (server === '') throw new Refusal('no credentials server URL');
  const [scheme = ''] = /^https?:\/\//i.exec(server) ?? [];
  const [host = ''] = server.slice(scheme.length).split('/');
  return keyedTarget(host, scheme.toLowerCase() === 'http://' ? { plainHttp: true } : {});
}

function hasFile({ config, authfile }: FileOptions): boolean {
  return config !== undefined || authfile !== undefined;
}

/** Where a credential is kept: in the file of its own, unless another is named. */
function placeOf(options: FileOptions, env: Surroundings['env']): Parameters<typeof eraseCredential>[1] {
  if (hasFile(options)) return withoutSelf(placeFor(options, env));
  const path = ownFile(env);
  if (path === null) throw new Refusal('there is no home directory to keep a credential in');
  return { path, env };
}

/** Whatever is asked, this program is not, directly or by another name. */
function withoutSelf<T extends { readonly env: Surroundings['env'] }>(
  files: T,
): T & { readonly withoutHelpers: readonly string[] } {
  return { ...files, env: unasked.in(files.env), withoutHelpers: [ownHelper] };
}

/** No credential is longer, encoded as it may be. */
const LONGEST_INPUT = 1_048_576;

async function textFrom(input: Readable, signal: AbortSignal): Promise<string> {
  const bytes = await bytesFrom(input, LONGEST_INPUT, signal);
  if (bytes === null) throw new Refusal('what is on stdin is too long');
  try {
    // What is replaced in a secret makes another one.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal('what is on stdin is not UTF-8');
  }
}
