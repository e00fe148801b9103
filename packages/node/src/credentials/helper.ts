/**
 * Credential helpers: the programs `docker-credential-<name>` that keep credentials (requirements 121 to 129).
 *
 * Rules of this file: a program is started by its absolute path, without a shell, with one argument that is one of four words;
 * what is secret goes in by its standard input and comes out by its standard output alone; how long it runs and how much it
 * writes is bounded, and a program over its bounds is ended with all it started, as is one that would outlive this process;
 * what it says is shown only when it failed, and of its standard output, where answers are written, only known words.
 */

import type { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { toVisible } from '@reg/core';
import type { AbortSignalLike } from '@reg/core/driver';
import { CredentialsError } from './error.ts';
import { endWithProcess } from './running.ts';

export interface HelperOptions {
  /** What the program gets, and whose `PATH` it is looked up on. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long one call may take. Default: 20,000 ms: a keychain may ask its owner first, and the driver gives a look-up 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignalLike;
}

/** The user name of an identity token, for helpers and for Podman (requirement 126, Q70). */
export const tokenUser = '<token>';

/** What a helper keeps for a registry. */
export interface HelperAnswer {
  /** `<token>` where the secret is an identity token (requirement 126). */
  readonly username: string;
  readonly secret: string;
  /** The program that said so, by its absolute path. */
  readonly program: string;
}

/** What a helper is given to keep. */
export interface HelperEntry {
  readonly serverUrl: string;
  readonly username: string;
  readonly secret: string;
}

/**
 * Asks the helper `name` (`pass` for `docker-credential-pass`) for what it keeps under `serverUrl`, a key as Docker writes it;
 * `null` when it keeps nothing, or an answer with nothing in it (requirements 124 and 127). The URL in its answer counts for
 * nothing: a helper does not decide for whom a credential is.
 *
 * Rejects with `CredentialsError` when the program cannot be run, fails, hangs, or answers something else; with the signal's
 * reason on abort.
 */
export async function helperGet(
  name: string,
  serverUrl: string,
  options: HelperOptions = {},
): Promise<HelperAnswer | null> {
  const call = await callHelper(name, 'get', checkedUrl(name, serverUrl), options);
  if (isNotFound(call)) return null;
  const answer = answerOf(call);
  if (answer === null) return null;
  const { program } = call;
  const username = textIn(program, answer, 'Username');
  const secret = textIn(program, answer, 'Secret');
  if (username === '' && secret === '') return null;
  // Half a credential would be completed with nothing, or with somebody else's (CVE-2024-11053).
  if (username === '') throw new CredentialsError(program, 'answered without a user name');
  if (secret === '') throw new CredentialsError(program, 'answered without a secret');
  return { username, secret, program };
}

/** Hands the helper `name` a credential to keep. Rejects as `helperGet` does. */
export async function helperStore(
  name: string,
  { serverUrl, username, secret }: HelperEntry,
  options: HelperOptions = {},
): Promise<void> {
  const url = checkedUrl(name, serverUrl);
  // Helpers refuse it themselves, each in its own words (requirement 123).
  if (username === '') throw new CredentialsError(programOf(name), 'needs a user name');
  const entry = JSON.stringify({ ServerURL: url, Username: username, Secret: secret });
  const call = await callHelper(name, 'store', entry, options);
  if (!hasSucceeded(call)) throw failure(call, [secret, JSON.stringify(secret).slice(1, -1)]);
}

/**
 * Has the helper `name` forget what it keeps under `serverUrl`. Resolves to whether it had something, as far as it says: many
 * do not. Rejects as `helperGet` does.
 */
export async function helperErase(
  name: string,
  serverUrl: string,
  options: HelperOptions = {},
): Promise<boolean> {
  const call = await callHelper(name, 'erase', checkedUrl(name, serverUrl), options);
  if (isNotFound(call)) return false;
  if (!hasSucceeded(call)) throw failure(call);
  return true;
}

/** The user names that the helper `name` keeps, by server URL. Rejects as `helperGet` does. */
export async function helperList(
  name: string,
  options: HelperOptions = {},
): Promise<Readonly<Record<string, string>>> {
  const call = await callHelper(name, 'list', '', options);
  if (isNotFound(call)) return {};
  const answer = answerOf(call) ?? {};
  return Object.fromEntries(Object.keys(answer).map((url) => [url, textIn(call.program, answer, url)]));
}

type Action = 'get' | 'store' | 'erase' | 'list';

/** A program that ended by itself. */
interface Call {
  readonly program: string;
  readonly action: Action;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly code: number | null;
  readonly signal: string | null;
}

const windows = process.platform === 'win32';

/** 1 MiB: a credential has a few kilobytes, a list of a thousand servers a hundred. */
const longestOutput = 1_048_576;

/** From asking a program to end until it is made to. */
const graceMs = 500;

/** From the end of a program until what it started, and what holds its output open, is left alone. */
const drainMs = 100;

/** The last call of each program: they wait for one another, since a keychain that is asked twice at once may hang (Q73). */
const lastCalls = new Map<string, Promise<unknown>>();

async function callHelper(
  name: string,
  action: Action,
  input: string,
  options: HelperOptions,
): Promise<Call> {
  const { env = process.env, timeoutMs = 20_000, signal } = options;
  const program = await find(name, env);
  const before = lastCalls.get(program) ?? Promise.resolve();
  const turn = before.then(async () => {
    // Loaded late: a command that needs no helper starts the sooner.
    const { spawn } = await import('node:child_process');
    if (signal?.aborted) throw signal.reason;
    return run(spawn, program, action, input, { env, timeoutMs, ...(signal && { signal }) });
  });
  const ended = turn.catch(() => undefined);
  lastCalls.set(program, ended);
  try {
    return await (signal === undefined ? turn : orAborted(turn, signal));
  } finally {
    void ended.then(() => {
      if (lastCalls.get(program) === ended) lastCalls.delete(program);
    });
  }
}

/** `turn`, unless `signal` is first: whoever waits for another's call need not wait for its end. */
export function orAborted<T>(turn: Promise<T>, signal: AbortSignalLike): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    turn.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function run(
  start: typeof spawn,
  program: string,
  action: Action,
  input: string,
  {
    env,
    timeoutMs,
    signal,
  }: Required<Pick<HelperOptions, 'env' | 'timeoutMs'>> & Pick<HelperOptions, 'signal'>,
): Promise<Call> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that it can be ended with all it started. It has no terminal then, as under any service: what a
    // keychain asks its owner, it asks in a window or through an agent.
    const child = start(program, [action], { env, detached: !windows, windowsHide: true });
    const outlive = endWithProcess((signal) => killGroup(child.pid, signal));
    const written: { readonly [name in 'stdout' | 'stderr']: Buffer[] } = { stdout: [], stderr: [] };
    const timers: NodeJS.Timeout[] = [];
    let size = 0;
    let stopped: { readonly reason: unknown } | null = null;
    let settled = false;

    const settle = (outcome: () => void) => {
      if (settled) return;
      settled = true;
      outlive();
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      // Whoever still holds them open is not heard any more. Without descriptors left, Node makes no streams at all.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      child.unref();
      outcome();
    };
    const kill = () => killGroup(child.pid, 'SIGKILL');
    const stop = (reason: unknown) => {
      if (stopped !== null || settled) return;
      stopped = { reason };
      killGroup(child.pid, 'SIGTERM');
      after(graceMs, () => {
        kill();
        settle(() => reject(reason));
      });
    };
    const after = (ms: number, then: () => void) => timers.push(setTimeout(then, ms));
    const abort = () => stop(signal?.reason);

    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= longestOutput) written[name].push(chunk);
        else stop(new CredentialsError(program, `"${action}" wrote more than 1 MiB`));
      });
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      // With a number it runs: what failed then is a signal to it.
      if (child.pid !== undefined) return;
      settle(() => reject(new CredentialsError(program, `cannot be run (${error.code ?? 'unknown'})`)));
    });
    child.on('exit', (code, killedBy) => {
      const end = () =>
        settle(() => {
          const stdout = Buffer.concat(written.stdout);
          const stderr = Buffer.concat(written.stderr);
          if (stopped === null) return resolve({ program, action, stdout, stderr, code, signal: killedBy });
          kill();
          reject(stopped.reason);
        });
      child.once('close', end);
      // What it started may hold its output open for good. All that it wrote itself is there to be read by now, and reading
      // comes between a timer and an immediate.
      after(drainMs, () => setImmediate(end));
    });
    // A helper that does not read what it is sent is free not to (EPIPE).
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);

    after(timeoutMs, () => stop(new CredentialsError(program, `"${action}" did not end in ${timeoutMs} ms`)));
    signal?.addEventListener('abort', abort);
  });
}

/** Ends the group of `pid`; one that is gone already is gone. */
function killGroup(pid: number | undefined, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(windows ? pid : -pid, signal);
  } catch {
    // ESRCH: all of it has ended.
  }
}

/** The program of the helper `name`. Throws `CredentialsError` for what is no name of one. */
export function programOf(name: string): string {
  return `docker-credential-${checkedName(name)}`;
}

/** Whether a text may be a part of a program's name (requirement 128). */
export function isHelperName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name);
}

/** A part of a file's name and nothing more (CVE-2020-13347). What is not may be a secret in the wrong place. */
function checkedName(name: string): string {
  if (isHelperName(name)) return name;
  throw new CredentialsError('docker-credential-*', 'what is configured is not the name of a helper');
}

/** Helpers that read lines would take what follows a line's end for more of their input (CVE-2020-5260, CVE-2024-52006). */
function checkedUrl(name: string, serverUrl: string): string {
  const program = programOf(name);
  if (serverUrl === '') throw new CredentialsError(program, 'cannot be asked for a registry without a name');
  if (toVisible(serverUrl) !== serverUrl) {
    throw new CredentialsError(program, 'cannot be asked for a registry with control characters in its name');
  }
  return serverUrl;
}

/**
 * The absolute path of a helper. Only absolute folders of `PATH` are searched, so never the working directory, and on Windows
 * only for an `.exe`: batch files take their arguments apart again (CVE-2025-15558, CVE-2024-27980).
 */
async function find(name: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const program = programOf(name);
  let inert: string | null = null;
  for (const folder of (pathOf(env) ?? '').split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const path = join(folder, windows ? `${program}.exe` : program);
    if (!(await isFile(path))) continue;
    if (await isExecutable(path)) return path;
    inert ??= path;
  }
  if (inert !== null) throw new CredentialsError(inert, 'is not executable');
  throw new CredentialsError(
    program,
    'is not in any folder of PATH: install it, or take it out of "credsStore" or "credHelpers"',
  );
}

/** Windows has no case in the names of variables, and an object that is no longer the process's own has. */
function pathOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (!windows) return env['PATH'];
  return Object.entries(env).find(([name]) => name.toUpperCase() === 'PATH')?.[1];
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function hasSucceeded({ code }: Call): boolean {
  return code === 0;
}

/**
 * Whether a helper says that it keeps nothing (requirement 124, Q67): in the words that the protocol fixes, or in one of the
 * two of macOS, which older helpers pass on.
 */
function isNotFound(call: Call): boolean {
  if (hasSucceeded(call) || call.code === null) return false;
  const text = call.stdout.toString('utf8').trim();
  return (
    text === 'credentials not found in native keychain' ||
    text === 'The specified item could not be found in the keychain.' ||
    text.startsWith('No stored credential for ')
  );
}

/** The object that a helper answered with; `null` for an answer of nothing at all. */
function answerOf(call: Call): object | null {
  if (!hasSucceeded(call)) throw failure(call);
  const { program, stdout } = call;
  let answer: unknown;
  try {
    // What is replaced in a secret makes another one.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(stdout).trim();
    if (text === '') return null;
    answer = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and the text is a secret (CVE-2020-8564).
    throw new CredentialsError(program, `"${call.action}" did not answer with JSON`);
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw new CredentialsError(program, `"${call.action}" did not answer with a JSON object`);
  }
  return answer;
}

function textIn(program: string, answer: object, name: string): string {
  const value: unknown = Object.getOwnPropertyDescriptor(answer, name)?.value ?? '';
  if (typeof value === 'string') return value;
  throw new CredentialsError(program, 'answered with something else than text where text belongs');
}

/**
 * What helpers write to standard output when they fail (requirement 124), as far as it is known not to be a secret: the words of
 * the protocol, and those of `pass`, of a keyring without a session, of macOS and of ECR. What follows them is not shown.
 */
const knownWords: readonly string[] = [
  'credentials not found in native keychain',
  'no credentials server URL',
  'no credentials username',
  'pass not initialized',
  'Cannot autolaunch D-Bus',
  'User interaction is not allowed',
  'not implemented',
];

/** How a call failed, in the program's own words if it has any that are no answer; `secrets` are not among them. */
function failure(
  { program, action, stdout, stderr, code, signal }: Call,
  secrets: readonly string[] = [],
): CredentialsError {
  const end = code === null ? `ended by ${signal ?? 'a signal'}` : `exit code ${code}`;
  const errors = stderr.toString('utf8').trim();
  const output = stdout.toString('utf8').trim();
  const known = knownWords.find((words) => output.startsWith(words)) ?? '';
  const said = [errors.toLowerCase().includes('"secret"') ? '' : errors, known];
  const words = secrets.reduce(
    (text, secret) => (secret === '' ? text : text.replaceAll(secret, '•••')),
    said.filter((text) => text !== '').join(' '),
  );
  // An answer before a crash, in whatever form: `password=…` is one of git's.
  const isHidden = known === '' && output !== '';
  return new CredentialsError(
    program,
    `"${action}" failed (${end})${words === '' ? '' : `: ${shortened(words)}`}` +
      (isHidden ? '; what it wrote to standard output may be a secret and is not shown' : ''),
  );
}

/** 300 characters, of which none moves a cursor. */
function shortened(text: string): string {
  const shown = toVisible(text.slice(0, 300));
  return shown.length < text.length || shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
}
