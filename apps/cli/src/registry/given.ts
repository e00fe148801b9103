/**
 * The credential that the command line gives.
 *
 * Rules of this file: a secret is read from stdin or the environment, never from an argument, where every process on the
 * machine can see it.
 */

import { isUtf8 } from 'node:buffer';
import { createReadStream, existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { toVisible } from '@reg/core';
import { bytesFrom } from '../reading/bytes.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { faultOf } from './files.ts';
import type { CommonOptions, GivenOptions } from './options.ts';

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
