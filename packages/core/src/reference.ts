/**
 * Image references, the URLs they stand for, and the way from one page of a list to the next.
 *
 * Rules of this file:
 * 1. The grammar is that of the Docker and OCI tools: `[registry/]repository[:tag][@digest]`, where no registry means
 *    Docker Hub. What they read in two ways is refused with the place, not guessed: a bare image ID or digest, `localhost`
 *    without a repository, a scheme.
 * 2. A registry is kept as it was written, but Docker Hub has one name, `docker.io`, whichever of its hosts was given.
 * 3. A page's link is followed as it came, and only on the origin of the page (requirements 134 to 136).
 *
 * Theory: `@` and `/` cannot be part of a name, so the first of each splits the text. What stands before the first slash is
 * a registry if a path could not be written like that: it has a dot, a colon or an upper-case letter, or is `localhost`.
 */

import { classifyHost } from './address.ts';
import { type HeaderList, headerValues } from './message.ts';

/** An image or a repository. Without tag and digest it stands for the whole repository. */
export interface Reference {
  /** `host` or `host:port` as written; `docker.io` for Docker Hub. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  /** `algorithm:hex`. It decides where both are given. */
  readonly digest?: string;
}

/** A text that is no reference. The message says why, and holds none of the text. */
export class InvalidReference extends SyntaxError {
  override readonly name = 'InvalidReference';
  /** UTF-16 units from the start of the text to what is wrong. */
  readonly position: number;

  constructor(reason: string, position: number) {
    super(`[@reg/core] invalid reference: ${reason}, at position ${position}`);
    this.position = position;
  }
}

/**
 * Reads an image reference: `ubuntu` is `docker.io/library/ubuntu`, `localhost:5000/a/b:1` is what it says.
 *
 * @returns the reference; `tag` and `digest` only where they were given
 * @throws {InvalidReference} when the text is none
 */
export function parseReference(text: string): Reference {
  if (text === '') fail('the text is empty', 0);
  if (text.includes('://')) fail('a reference begins with its registry, not with a scheme', 0);
  if (isDigest(text) || isHex(text, 64)) fail('an image ID or digest alone names no repository', 0);

  const nameEnd = orEnd(text, text.indexOf('@'));
  const name = text.slice(0, nameEnd);
  const slash = name.indexOf('/');
  const pathStart = slash >= 0 && isRegistry(name.slice(0, slash)) ? slash + 1 : 0;
  const pathEnd = orEnd(name, name.indexOf(':', pathStart));
  const registry = pathStart === 0 ? hub : name.slice(0, slash);
  const path = name.slice(pathStart, pathEnd);
  const tag = pathEnd < nameEnd ? name.slice(pathEnd + 1) : undefined;
  const digest = nameEnd < text.length ? text.slice(nameEnd + 1) : undefined;

  checkRegistry(registry);
  if (pathStart === 0 && path === 'localhost') fail('localhost is a registry without a repository', pathEnd);
  checkPath(path, pathStart);
  if (tag !== undefined) checkTag(tag, pathEnd + 1);
  if (digest !== undefined) checkDigest(digest, nameEnd + 1);
  return {
    registry: isHub(registry) ? hub : registry,
    repository: repositoryAt(registry, path),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The full text of a reference, registry included. `parseReference` reads it back as the same reference. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** Endpoints of the distribution API. */
export type EndpointKind = 'ping' | 'catalog' | 'tags' | 'manifest' | 'blob' | 'referrers' | 'uploads';

/**
 * The URL of an endpoint: https, but http for loopback hosts, as other clients do.
 *
 * @param reference of which `ping` and `catalog` read the registry alone. A `manifest` is that of the digest, else of the
 *   tag, else of `latest`; `blob` and `referrers` need a digest.
 * @param options `insecure` decides between the two, whatever the host
 * @throws {InvalidReference} when a part of the reference is none
 * @throws {TypeError} when a part that the endpoint needs is missing
 */
export function endpoint(
  reference: Pick<Reference, 'registry'> & Partial<Reference>,
  kind: EndpointKind,
  options: { readonly insecure?: boolean } = {},
): URL {
  checkRegistry(reference.registry);
  const host = isHub(reference.registry) ? hubApi : reference.registry;
  const insecure = options.insecure ?? classifyHost(new URL(`https://${host}`).hostname) === 'loopback';
  return new URL(`${insecure ? 'http' : 'https'}://${host}/v2/${pathOf(reference, kind)}`);
}

function pathOf(reference: Pick<Reference, 'registry'> & Partial<Reference>, kind: EndpointKind): string {
  if (kind === 'ping') return '';
  if (kind === 'catalog') return '_catalog';
  const { registry, repository, tag, digest } = reference;
  if (repository === undefined) throw new TypeError(`[@reg/core] the endpoint ${kind} needs a repository`);
  checkPath(repository, 0);
  const base = repositoryAt(registry, repository);
  if (tag !== undefined) checkTag(tag, 0);
  if (digest !== undefined) checkDigest(digest, 0);
  switch (kind) {
    case 'tags':
      return `${base}/tags/list`;
    case 'uploads':
      return `${base}/blobs/uploads/`;
    case 'manifest':
      return `${base}/manifests/${digest ?? tag ?? 'latest'}`;
    case 'blob':
    case 'referrers':
      if (digest === undefined) throw new TypeError(`[@reg/core] the endpoint ${kind} needs a digest`);
      return `${base}/${kind === 'blob' ? 'blobs' : kind}/${digest}`;
  }
}

/**
 * The page that follows a page of tags, repositories or referrers: the `Link` with `rel="next"` (RFC 8288, requirement
 * 134), resolved against the page's URL, its cursor untouched (Q59, Q60).
 *
 * @param head of the response
 * @param url of the page
 * @returns `null` at the end: no such link, an empty one, one that cannot be parsed, one to the page itself. Also for a link
 *   to another origin or with a password in it: the list is this registry's, and so is the token that reads it, which a
 *   hostile registry would otherwise have sent where it likes (GHSA-h7vf-4x9w-h99v). A loop over several pages is the
 *   caller's to stop.
 */
export function nextPage(head: { readonly headers: HeaderList }, url: string | URL): URL | null {
  const page = url.toString();
  const target = nextTarget(headerValues(head.headers, 'link').join(', '));
  if (target === null || target.trim() === '' || !URL.canParse(target, page)) return null;
  const next = new URL(target, page);
  const current = new URL(page);
  next.hash = '';
  current.hash = '';
  if (next.origin !== current.origin || next.username !== '' || next.password !== '') return null;
  return next.href === current.href ? null : next;
}

const hub = 'docker.io';
const hubApi = 'registry-1.docker.io';
/** Its website, its old index and its API host: all three are used for the one registry. */
const hubHosts: readonly string[] = [hub, 'index.docker.io', hubApi];

/** Hex digits of the digests that the tools know: OCI image-spec "Registered algorithms", and SHA-384 of go-digest. */
const digestLengths: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
  ['blake3', 64],
]);

/** A longer name fits no file system and no other tool. */
const longestPath = 255;
const longestTag = 128;
/** A host name has 253 characters at most (RFC 1035 §2.3.4), a port 6 with its colon. */
const longestRegistry = 259;
/** Of all `Link` lines. A cursor is a name or a token of a few hundred characters. */
const longestLink = 16_384;

function fail(reason: string, position: number): never {
  throw new InvalidReference(reason, position);
}

function orEnd(text: string, index: number): number {
  return index < 0 ? text.length : index;
}

function isRegistry(text: string): boolean {
  return text.includes('.') || text.includes(':') || text === 'localhost' || text !== text.toLowerCase();
}

function isHub(registry: string): boolean {
  return hubHosts.includes(registry.toLowerCase());
}

/** Docker Hub keeps the images that are named by one word below `library`. */
function repositoryAt(registry: string, path: string): string {
  return isHub(registry) && !path.includes('/') ? `library/${path}` : path;
}

/** `host` or `host:port`: a name, an IPv4 address or an IPv6 address in brackets, and one that a URL can hold. */
function checkRegistry(text: string): void {
  if (text.length > longestRegistry) fail('the registry is too long', 0);
  const bracketed = text.startsWith('[');
  const hostEnd = bracketed ? text.indexOf(']') + 1 : orEnd(text, text.indexOf(':'));
  if (!bracketed) checkHost(text.slice(0, hostEnd));
  const port = text.slice(hostEnd);
  if (port !== '' && !(port.length > 1 && port.startsWith(':') && everyChar(port.slice(1), isDigit))) {
    fail('what follows the host is no port', hostEnd);
  }
  if (!URL.canParse(`https://${text}`)) fail('the registry is no host and port', 0);
}

/** Labels of letters, digits and inner dashes. No dot at the end: trust, TLS name and connection could differ over it. */
function checkHost(host: string): void {
  let start = 0;
  for (const label of host.split('.')) {
    const fits =
      label !== '' && !label.startsWith('-') && !label.endsWith('-') && everyChar(label, isHostChar);
    if (!fits) fail('the registry is no host name', start);
    start += label.length + 1;
  }
}

/** Words of lower-case letters and digits, joined by `/` or, within a component, by `.`, `_`, `__` or dashes. */
function checkPath(path: string, offset: number): void {
  if (path.length > longestPath) fail(`the repository has more than ${longestPath} characters`, offset);
  let at = 0;
  for (;;) {
    const start = at;
    while (isLower(path.charAt(at)) || isDigit(path.charAt(at))) at++;
    if (at === start) fail(pathFault(path.charAt(at)), offset + at);
    if (at === path.length) return;
    at = separatorEnd(path, at);
  }
}

/** Behind the separator at `at`; `at` itself when there is none, so that the next word is found to be missing. */
function separatorEnd(path: string, at: number): number {
  const char = path.charAt(at);
  if (char === '/' || char === '.') return at + 1;
  if (char === '_') return path.charAt(at + 1) === '_' ? at + 2 : at + 1;
  let end = at;
  while (path.charAt(end) === '-') end++;
  return end;
}

function pathFault(char: string): string {
  if (char === '') return 'the repository ends where a name must follow';
  if (char >= 'A' && char <= 'Z') return 'a repository has no upper-case letters';
  return 'a repository cannot have this character here';
}

/** A letter, digit or underscore, then also dots and dashes. */
function checkTag(tag: string, offset: number): void {
  if (tag.length > longestTag) fail(`the tag has more than ${longestTag} characters`, offset);
  if (tag === '') fail('the tag is empty', offset);
  for (let i = 0; i < tag.length; i++) {
    const char = tag.charAt(i);
    const fits = isLetter(char) || isDigit(char) || char === '_' || (i > 0 && (char === '.' || char === '-'));
    if (!fits) fail('a tag cannot have this character here', offset + i);
  }
}

function checkDigest(digest: string, offset: number): void {
  if (!isDigest(digest)) fail('this is no digest of a known algorithm', offset);
}

function isDigest(text: string): boolean {
  const colon = text.indexOf(':');
  const length = digestLengths.get(text.slice(0, Math.max(colon, 0)));
  return length !== undefined && isHex(text.slice(colon + 1), length);
}

function isHex(text: string, length: number): boolean {
  return text.length === length && everyChar(text, (char) => isDigit(char) || (char >= 'a' && char <= 'f'));
}

function everyChar(text: string, test: (char: string) => boolean): boolean {
  for (let i = 0; i < text.length; i++) if (!test(text.charAt(i))) return false;
  return true;
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

function isLower(char: string): boolean {
  return char >= 'a' && char <= 'z';
}

function isLetter(char: string): boolean {
  return isLower(char) || (char >= 'A' && char <= 'Z');
}

function isHostChar(char: string): boolean {
  return isLetter(char) || isDigit(char) || char === '-';
}

/** The target of the first link whose relations name `next`; `null` when there is none (RFC 8288 §3). */
function nextTarget(links: string): string | null {
  if (links.length > longestLink) return null;
  let at = 0;
  for (;;) {
    const open = links.indexOf('<', at);
    const close = links.indexOf('>', open);
    if (open < 0 || close < 0) return null;
    const { relations, end } = readLinkParams(links, close + 1);
    if (relations.includes('next')) return links.slice(open + 1, close);
    at = end;
  }
}

/** The parameters of a link, up to the comma behind them. Of several `rel` the first counts (RFC 8288 §3.3). */
function readLinkParams(links: string, start: number): { relations: readonly string[]; end: number } {
  let rel: string | null = null;
  let at = start;
  while (at < links.length && links.charAt(at) !== ',') {
    const nameEnd = endOf(links, at, '=;,');
    const name = links.slice(at, nameEnd).trim().toLowerCase();
    if (links.charAt(nameEnd) !== '=') {
      at = links.charAt(nameEnd) === ';' ? nameEnd + 1 : nameEnd;
      continue;
    }
    const valueStart = blankEnd(links, nameEnd + 1);
    const quoted = links.charAt(valueStart) === '"';
    const valueEnd = quoted ? quoteEnd(links, valueStart + 1) : endOf(links, valueStart, ';,');
    const value = links.slice(quoted ? valueStart + 1 : valueStart, valueEnd);
    if (name === 'rel') rel ??= value;
    at = endOf(links, valueEnd, ';,');
    if (links.charAt(at) === ';') at++;
  }
  return { relations: (rel ?? '').toLowerCase().split(' '), end: at };
}

function endOf(text: string, start: number, stops: string): number {
  let at = start;
  while (at < text.length && !stops.includes(text.charAt(at))) at++;
  return at;
}

function blankEnd(text: string, start: number): number {
  let at = start;
  while (text.charAt(at) === ' ' || text.charAt(at) === '\t') at++;
  return at;
}

/** The closing quote, or the end of the text. */
function quoteEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return Math.min(at, text.length);
}
