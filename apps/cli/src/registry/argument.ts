/**
 * The argument of a command: what it asks a registry for.
 *
 * Rules of this file: what cannot be meant is a complaint that names the place; a text that may hold a password is not
 * repeated. Nothing is asked of the network.
 */

import { endpoint, formatReference, parseReference, type Reference, toVisible } from '@reg/core';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import type { NetworkOptions } from './options.ts';

/** What a command is about. */
export interface Target {
  readonly url: URL;
  /** As it is written in a command: a full reference, or a URL without its query, which may hold a signature. */
  readonly shown: string;
  /** The argument, where it was short for `shown`, as `nginx` is for `docker.io/library/nginx`; else `null`. */
  readonly short: string | null;
}

/** RFC 9110 §4.1 asks servers for 8,000, and most take little more. */
const LONGEST_URL = 8_192;

/** The tags of a repository. */
export function tagsTarget(text: string, options: NetworkOptions): Target {
  const reference = readReference(text);
  const { registry, repository } = reference;
  const repositoryOnly = formatReference({ registry, repository });
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw usage(
      `'${text}' names one image of a repository: tags are those of '${repositoryOnly}'`,
      `reg tags ${repositoryOnly}`,
    );
  }
  return targetOf(reference, 'tags', text, options);
}

/** What to trace: a URL as it is; of a reference its manifest, or the tags where it names a whole repository. */
export function traceTarget(text: string, options: NetworkOptions): Target {
  if (!/^https?:\/\//i.test(text)) {
    const reference = readReference(text);
    const whole = reference.tag === undefined && reference.digest === undefined;
    return targetOf(reference, whole ? 'tags' : 'manifest', text, options);
  }
  if (text.length > LONGEST_URL) throw usage(`no server takes a URL of ${text.length} characters`);
  // What is no URL or holds a password is not quoted: the message would be the second place that shows it.
  if (!URL.canParse(text)) throw usage('what begins with http is taken for a URL, and this is none');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw usage(
      `a credential in a URL is seen by every process on this machine: give it by -u and --password-stdin`,
      `reg trace ${quote(url.origin + url.pathname)} -u NAME --password-stdin < FILE`,
    );
  }
  url.hash = '';
  return { url, shown: url.origin + url.pathname, short: null };
}

function targetOf(
  reference: Reference,
  kind: 'tags' | 'manifest',
  text: string,
  options: NetworkOptions,
): Target {
  const url = endpoint(reference, kind, options.plainHttp === true ? { insecure: true } : {});
  const full = formatReference(reference);
  return { url, shown: full, short: full === text ? null : text };
}

function readReference(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!isInvalidReference(error)) throw error;
    const { message, position } = error;
    // The core signs its messages; here it is clear who speaks.
    const reason = message.replace('[@reg/core] ', '');
    // What stands before an `@` may be a password.
    throw new Complaint(exitCode.usage, reason, text.includes('@') ? {} : { place: { text, position } });
  }
}

function isInvalidReference(error: unknown): error is Error & { readonly position: number } {
  return error instanceof SyntaxError && 'position' in error && typeof error.position === 'number';
}

/** How to repeat a command: with the options that say how to connect, and not those that say as whom. */
export interface Again {
  /** `reg tags ghcr.io/o/app`. */
  readonly command: string;
  /** The same over plain http. */
  readonly plainHttp: string;
  /** `reg trace` on the same. */
  readonly trace: string;
}

/** The command `name` on `target` once more, for hints. */
export function againFor(name: string, target: Target, options: NetworkOptions): Again {
  const { shown } = target;
  return {
    command: commandLine(name, shown, options),
    plainHttp: commandLine(name, shown.replace(/^https:/, 'http:'), { ...options, plainHttp: true }),
    trace: commandLine('trace', shown, options),
  };
}

function commandLine(name: string, shown: string, options: NetworkOptions): string {
  const { plainHttp = false, insecure = false, caFile, trustRealm = [] } = options;
  const flags = [
    ...(plainHttp ? ['--plain-http'] : []),
    ...(insecure ? ['--insecure'] : []),
    ...(caFile === undefined ? [] : ['--ca-file', toVisible(caFile)]),
    ...trustRealm.flatMap((realm) => ['--trust-realm', realm]),
  ];
  return ['reg', name, shown, ...flags].map(quote).join(' ');
}
