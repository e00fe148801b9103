/**
 * The secrets of one operation, and texts without them.
 *
 * Rules of this file:
 * 1. A secret is found in any spelling a peer may give it back in: plain, percent-encoded, with JSON or quoted-pair escapes,
 *    in base64, alone or with its user name before it, and cut off behind its first characters, since error texts are cut.
 * 2. One pass per secret and view of the text, no regular expression: a redactor that backtracks is an attack of its own
 *    (CVE-2025-25289).
 * 3. Where a secret stands by right (a header, a form, a credential) it is replaced whatever it is. It is searched for in the
 *    words of others only if it is long enough to be told from a word, and is not part of the address that was asked for.
 */

import { longestSecret } from '../credential.ts';
import type { Redacted } from './transcript.ts';

/** What is masked without being told apart from other masked values. */
export const masked: Redacted = 'redacted-0';

/** Shorter texts are found inside ordinary words; taking those out would say what the secret is. */
const shortest = 6;

/** A longer secret is known by this much of it: every JWT of one issuer begins alike, and all of them are secrets. */
const headLength = 16;

interface Needle {
  readonly name: Redacted;
  readonly form: string;
  /** Whether more may follow that belongs to it, as in base64 of a text that begins with the secret. */
  readonly open: boolean;
}

/** A part of a text that is hidden, by offsets in it. */
interface Span {
  readonly start: number;
  end: number;
  name: Redacted;
  /** How much of the secret was recognised. */
  matched: number;
}

/** A text as its decoder reads it, and where each unit comes from. */
interface View {
  readonly text: string;
  readonly offset: (index: number) => number;
}

export class Secrets {
  readonly #names = new Map<string, Redacted>();
  readonly #needles: Needle[] = [];
  readonly #address: string;

  /** @param url what the operation is about: no secret, even where a secret happens to be part of it */
  constructor(url: string) {
    const { origin, pathname } = new URL(url);
    this.#address = origin + pathname;
  }

  /**
   * The name of `secret`, the same whenever it is asked for; from now on `hide` finds it. A secret that no header may hold
   * keeps, in its name, what makes it so: a replay must refuse it too.
   *
   * @param username that goes before the secret in a Basic header
   */
  name(secret: string, username?: string): Redacted {
    if (secret === '') return '';
    let name = this.#names.get(secret);
    if (name === undefined) {
      name = `redacted-${this.#names.size + 1}`;
      this.#names.set(secret, name);
      this.#look(secret, name, false);
      for (const form of inUrls(secret)) this.#look(form, name, false);
      this.#look(base64(secret), name, true);
    }
    if (username !== undefined) this.#look(base64(`${username}:${secret}`), name, true);
    return name + flawOf(secret);
  }

  /** `text` with every known secret in it replaced by its name, and by what in it would end a header or a quoted string. */
  hide(text: string): string {
    const spans: Span[] = [];
    for (const view of viewsOf(text)) for (const needle of this.#needles) find(needle, view, spans);
    spans.sort((a, b) => a.start - b.start);
    let hidden = '';
    let from = 0;
    for (const { start, end, name } of merged(spans)) {
      const secret = text.slice(start, end);
      hidden += text.slice(from, start) + name + flawOf(secret) + (hasBareQuote(secret) ? '"' : '');
      from = end;
    }
    return hidden + text.slice(from);
  }

  #look(form: string, name: Redacted, open: boolean): void {
    if (form.length < shortest || this.#address.includes(form)) return;
    if (this.#needles.some((needle) => needle.form === form)) return;
    this.#needles.push({ name, form, open });
    if (open && (form.includes('+') || form.includes('/'))) {
      this.#needles.push({ name, form: form.replaceAll('+', '-').replaceAll('/', '_'), open });
    }
  }
}

/** `text` for a reader, to whom one hidden value is like another: each name as `•••`. */
export function maskNames(text: string): string {
  const prefix = 'redacted-';
  let shown = '';
  let from = 0;
  for (let at = text.indexOf(prefix); at >= 0; at = text.indexOf(prefix, at + 1)) {
    let end = at + prefix.length;
    while (isDigit(text.charAt(end))) end++;
    if (end === at + prefix.length) continue;
    shown += `${text.slice(from, at)}•••`;
    from = end;
  }
  return shown + text.slice(from);
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/**
 * What keeps `text` out of a header: its length, a control character, half a surrogate pair, or nothing. It goes into the
 * stand-in of a hidden text, so that what refused the text refuses the stand-in.
 */
export function flawOf(text: string): string {
  if (text.length > longestSecret) return '.'.repeat(longestSecret);
  let flaw = '';
  for (const char of text) {
    if (char < ' ' || char === '\x7f') return '\x01';
    // A challenge may hold one of these, a credential may not.
    if (char >= '\x80' && char <= '\x9f') flaw = '\x85';
    if (char >= '\ud800' && char <= '\udfff' && char.length === 1) flaw = '\ud800';
  }
  return flaw;
}

/** Whether `text` holds a quote without a backslash before it. */
function hasBareQuote(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charAt(at) === '\\') at++;
    else if (text.charAt(at) === '"') return true;
  }
  return false;
}

/**
 * What the URL parser makes of `text` in a path and in a query. It encodes some characters, leaves a `%41` that was there as it is
 * and turns `\` into `/`, so that no decoding gives the text back: a server that writes a secret into its realm has it sent so.
 */
function inUrls(text: string): readonly string[] {
  return ['https://x/', 'https://x/?'].map((before) => new URL(before + text).href.slice(before.length));
}

/** Whole groups of the base64 of `text` in UTF-8: what follows in the encoded text changes only the last. */
function base64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).slice(0, Math.floor(bytes.length / 3) * 4);
}

function find({ name, form, open }: Needle, view: View, spans: Span[]): void {
  const { text } = view;
  const head = form.slice(0, headLength);
  for (let start = text.indexOf(head); start >= 0; ) {
    let end = start + head.length;
    while (end - start < form.length && text.charAt(end) === form.charAt(end - start)) end++;
    const matched = end - start;
    if (open || matched < form.length) while (end < text.length && isTokenChar(text.charAt(end))) end++;
    spans.push({ start: view.offset(start), end: view.offset(end), name, matched });
    start = text.indexOf(head, end);
  }
}

/** Spans in order that do not overlap; of two that did, the name of the secret that was recognised further. */
function merged(sorted: readonly Span[]): readonly Span[] {
  const spans: Span[] = [];
  let last: Span | undefined;
  for (const span of sorted) {
    if (last === undefined || span.start >= last.end) {
      last = { ...span };
      spans.push(last);
      continue;
    }
    last.end = Math.max(last.end, span.end);
    if (span.matched > last.matched) {
      last.name = span.name;
      last.matched = span.matched;
    }
  }
  return spans;
}

const tokenChars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=';

function isTokenChar(char: string): boolean {
  return tokenChars.includes(char);
}

/** A peer's encoding, and ours around it: a scope that holds an encoded secret is encoded again for the token request. */
const layers = 2;

function viewsOf(text: string): readonly View[] {
  const views: View[] = [];
  let view: View = { text, offset: (index) => index };
  for (let layer = 0; ; layer++) {
    views.push(view);
    if (layer === layers) return views;
    if (view.text.includes('+')) views.push(decoded(view, true));
    if (!view.text.includes('%') && !view.text.includes('\\')) return views;
    view = decoded(view, false);
  }
}

/** A view with percent-encoding and backslash escapes undone, and `+` for a space where forms write it so. */
function decoded({ text, offset }: View, plus: boolean): View {
  const offsets: number[] = [];
  let plain = '';
  for (let at = 0; at < text.length; ) {
    const [char, width] = readChar(text, at, plus);
    for (let unit = 0; unit < char.length; unit++) offsets.push(offset(at));
    plain += char;
    at += width;
  }
  return { text: plain, offset: (index) => offsets[index] ?? offset(text.length) };
}

type Read = readonly [char: string, width: number];

function readChar(text: string, at: number, plus: boolean): Read {
  const char = text.charAt(at);
  if (char === '%') return readPercent(text, at);
  if (char === '\\') return readEscape(text, at);
  return [plus && char === '+' ? ' ' : char, 1];
}

/** One UTF-8 character in percent-encoding; what is none is left as it is. */
function readPercent(text: string, at: number): Read {
  const lead = percentByte(text, at);
  if (lead < 0x80) return lead < 0 ? ['%', 1] : [String.fromCharCode(lead), 3];
  const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  let point = lead & (0x3f >> more);
  for (let n = 1; n <= more; n++) {
    const next = percentByte(text, at + 3 * n);
    if (next < 0x80 || next > 0xbf) return ['%', 1];
    point = (point << 6) | (next & 0x3f);
  }
  return point > 0x10ffff ? ['%', 1] : [String.fromCodePoint(point), 3 * (more + 1)];
}

function percentByte(text: string, at: number): number {
  return text.charAt(at) === '%' ? hex(text.slice(at + 1, at + 3), 2) : -1;
}

/** `\u` and four digits (JSON), or any other escaped character (JSON, RFC 9110 §5.6.4). */
function readEscape(text: string, at: number): Read {
  if (text.charAt(at + 1) === 'u') {
    const unit = hex(text.slice(at + 2, at + 6), 4);
    if (unit >= 0) return [String.fromCharCode(unit), 6];
  }
  return at + 1 < text.length ? [text.charAt(at + 1), 2] : ['\\', 1];
}

/** The number that `digits` hexadecimal digits say, or -1. */
function hex(text: string, digits: number): number {
  if (text.length !== digits) return -1;
  let value = 0;
  for (const char of text) {
    const digit = '0123456789abcdef'.indexOf(char.toLowerCase());
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
