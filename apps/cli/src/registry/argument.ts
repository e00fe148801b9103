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
import { bareUrl } from '../report/url.ts';
import type { ConnectionOptions, FileOptions } from './options.ts';

/** What a command is about. */
export interface Target {
  readonly url: URL;
  /** `host` or `host:port`, as it is written in references and configs; `docker.io` for Docker Hub, whichever of its hosts. */
  readonly registry: string;
  /** As it is written in a command: a full reference, or a URL without its query, which may hold a signature. */
  readonly shown: string;
  /** The argument, where it was short for `shown`, as `nginx` is for `docker.io/library/nginx`; else `null`. */
  readonly short: string | null;
}

/** A target that is an image or a repository. */
export interface ReferenceTarget extends Target {
  readonly reference: Reference;
}

/** A target that is an image, a repository or a registry. */
export interface AnyTarget extends Target {
  /** `null` for a registry. */
  readonly reference: Reference | null;
}

/** RFC 9110 §4.1 asks servers for 8,000, and most take little more. */
const LONGEST_URL = 8_192;

/** An endpoint of an image or a repository. */
export function referenceTarget(
  text: string,
  kind: 'tags' | 'manifest' | 'blob',
  options: ConnectionOptions,
): ReferenceTarget {
  const reference = readReference(text);
  const full = formatReference(reference);
  if (kind === 'blob' && reference.digest === undefined) {
    throw usage(`a blob is named by its digest, as in ${full}@sha256:…`);
  }
  return {
    url: endpoint(reference, kind, schemeFor(options)),
    reference,
    registry: reference.registry,
    shown: full,
    short: full === text ? null : text,
  };
}

/** The tags of a repository. */
export function tagsTarget(text: string, options: ConnectionOptions): ReferenceTarget {
  const target = referenceTarget(text, 'tags', options);
  const { registry, repository, tag, digest } = target.reference;
  if (tag === undefined && digest === undefined) return target;
  const repositoryOnly = formatReference({ registry, repository });
  throw usage(
    `'${text}' names one image of a repository: tags are those of '${repositoryOnly}'`,
    `reg tags ${repositoryOnly}`,
  );
}

/**
 * A registry alone, its `/v2/`: `ghcr.io`, `localhost:5000`, any host of Docker Hub, or the URL that other tools write for one,
 * `https://index.docker.io/v1/`.
 */
export function registryTarget(text: string, options: ConnectionOptions): Target {
  const url = isUrl(text) ? urlIn(text) : null;
  const path = url?.pathname ?? text.slice(orEnd(text, text.indexOf('/')));
  if (!/^\/?(?:v[12]\/?)?$/.test(path) || (url !== null && url.search !== '')) {
    throw usage(
      'this is about a whole registry, like ghcr.io or localhost:5000, and not about a part of one',
    );
  }
  const written = url?.host ?? text.slice(0, orEnd(text, text.indexOf('/')));
  const ping =
    url === null
      ? reading(text, () => endpoint({ registry: written }, 'ping', schemeFor(options)))
      : pingAt(url);
  const target = { url: ping, registry: nameOf(ping, written), short: null };
  return { ...target, shown: registryIn(target, options) };
}

/** A URL may have a host that no reference can have, as one with a `_`. */
function pingAt(url: URL): URL {
  try {
    return endpoint({ registry: url.host }, 'ping', { insecure: url.protocol === 'http:' });
  } catch (error) {
    if (isInvalidReference(error)) return new URL('/v2/', url);
    throw error;
  }
}

/** The registry of `target` as it is written in a command that has `options`: its name, or its origin if that says more. */
export function registryIn(
  { url, registry }: Pick<Target, 'url' | 'registry'>,
  options: ConnectionOptions,
): string {
  try {
    return endpoint({ registry }, 'ping', schemeFor(options)).origin === url.origin ? registry : url.origin;
  } catch (error) {
    if (isInvalidReference(error)) return url.origin;
    throw error;
  }
}

/** A registry, or an image or repository of one. What has no slash is a host if it reads like one. */
export function anyTarget(text: string, options: ConnectionOptions): AnyTarget {
  if (isUrl(text) || isHostAlone(text)) return { ...registryTarget(text, options), reference: null };
  return readableTarget(text, options);
}

/** What to trace: a URL as it is; of a reference its manifest, or the tags where it names a whole repository. */
export function traceTarget(text: string, options: ConnectionOptions): Target {
  return isUrl(text) ? urlTarget(text, 'trace') : readableTarget(text, options);
}

/** Of an image its manifest; the tags of a whole repository. */
function readableTarget(text: string, options: ConnectionOptions): ReferenceTarget {
  const target = referenceTarget(text, 'tags', options);
  const { tag, digest } = target.reference;
  return tag === undefined && digest === undefined ? target : referenceTarget(text, 'manifest', options);
}

/** A URL of a registry, as it is. `command` is the name of the command it was given to, for hints. */
export function urlTarget(text: string, command: string): Target {
  const url = urlIn(text, command);
  return { url, registry: nameOf(url, url.host), shown: bareUrl(url.href), short: null };
}

/** Whether an argument is meant as a URL. */
export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

function urlIn(text: string, command?: string): URL {
  if (text.length > LONGEST_URL) throw usage(`no server takes a URL of ${text.length} characters`);
  // What is no URL or holds a password is not quoted: the message would be the second place that shows it.
  if (!URL.canParse(text)) throw usage('what begins with http is taken for a URL, and this is none');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw usage(
      `a credential in a URL is seen by every process on this machine: give it by -u and --password-stdin`,
      command && `reg ${command} ${quote(bareUrl(text))} -u NAME --password-stdin < FILE`,
    );
  }
  url.hash = '';
  return url;
}

/** `ghcr.io`, `localhost`, `localhost:5000`, `[::1]:5000`; `busybox:1` and `nginx` are images. */
function isHostAlone(text: string): boolean {
  const slash = orEnd(text, text.indexOf('/'));
  if (slash < text.length - 1 || text.includes('@')) return false;
  const host = text.slice(0, slash);
  if (host.startsWith('[') || slash < text.length) return true;
  const colon = orEnd(host, host.indexOf(':'));
  const name = host.slice(0, colon);
  return name === 'localhost' || name.includes('.') || name !== name.toLowerCase();
}

/** The name of the registry at `url`, which was `written` as host or `host:port`. */
function nameOf(url: URL, written: string): string {
  return url.host === hubApi || hubNames.includes(written.toLowerCase()) ? 'docker.io' : written;
}

/** Where Docker Hub's API is. */
const hubApi = 'registry-1.docker.io';
const hubNames: readonly string[] = ['docker.io', 'index.docker.io'];

function schemeFor({ plainHttp }: ConnectionOptions): { readonly insecure?: true } {
  return plainHttp === true ? { insecure: true } : {};
}

function orEnd(text: string, index: number): number {
  return index < 0 ? text.length : index;
}

function readReference(text: string): Reference {
  return reading(text, () => parseReference(text));
}

/** What `read` makes of `text`, or a complaint that points into it. */
function reading<T>(text: string, read: () => T): T {
  try {
    return read();
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

/** How to repeat a command: with the options that say how to connect and where credentials are, and not those that say as whom. */
export interface Again {
  /** `reg tags ghcr.io/o/app`. */
  readonly command: string;
  /** The same over plain http. */
  readonly plainHttp: string;
  /** `reg trace` on the same. */
  readonly trace: string;
  /** `reg doctor` on the same. */
  readonly doctor: string;
  /** `reg login` at its registry. */
  readonly login: string;
}

/**
 * The command `name` on `target` once more, for hints.
 *
 * @param flags of that command's own, as they are written
 */
export function againFor(
  name: string,
  target: Target,
  options: ConnectionOptions & FileOptions,
  flags: readonly string[] = [],
): Again {
  const { shown } = target;
  const registry = registryIn(target, options);
  return {
    command: commandLine(name, shown, options, flags),
    plainHttp: commandLine(name, shown.replace(/^https:/, 'http:'), { ...options, plainHttp: true }, flags),
    trace: commandLine('trace', shown, options),
    // Of a URL it looks at the registry.
    doctor: commandLine('doctor', isUrl(shown) ? registry : shown, options),
    login: commandLine('login', registry, options),
  };
}

function commandLine(
  name: string,
  shown: string,
  options: ConnectionOptions & FileOptions,
  own: readonly string[] = [],
): string {
  const { plainHttp = false, insecure = false, trustRealm = [], resolve = [] } = options;
  const named = ['caFile', 'cert', 'key', 'config', 'authfile'] as const;
  const flags = [
    ...(plainHttp ? ['--plain-http'] : []),
    ...(insecure ? ['--insecure'] : []),
    ...named.flatMap((option) => {
      const value = options[option];
      return value === undefined ? [] : [option === 'caFile' ? '--ca-file' : `--${option}`, value];
    }),
    ...resolve.flatMap((way) => ['--resolve', way]),
    // What has a `@` in it is no origin, and may hold a password.
    ...trustRealm.filter((realm) => !realm.includes('@')).flatMap((realm) => ['--trust-realm', realm]),
  ];
  return ['reg', name, shown, ...own, ...flags].map((word) => quote(toVisible(word))).join(' ');
}
