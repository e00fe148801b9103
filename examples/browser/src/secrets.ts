/**
 * What was typed into this page or obtained by it, and texts without it.
 *
 * Rules of this file:
 * 1. A registry may repeat what it was sent, or remember it for later: a secret is hidden as long as the page is open, in what it
 *    says of any run. It is found plain, percent-encoded, with JSON escapes, in base64 alone or behind its user name, and cut off
 *    behind its first characters, as in the core's transcripts.
 * 2. One pass per secret and reading of the text, no regular expression; of a text no more is read than is to be shown.
 * 3. A short secret is part of many words, and taking those out would say what it is. Nor is part of the address a secret.
 */

const shortest = 6;
/** A longer secret is known by this much of it. */
const headLength = 16;
/** A peer's encoding, and one around it. */
const layers = 2;

const hiddenText = '•••';

/** Characters behind what is shown that are looked at too: as many as the beginning of a secret can be encoded in. */
const ahead = headLength * 12;

/** A text as a decoder reads it, and where each unit of it comes from. */
interface Reading {
  readonly text: string;
  readonly starts: readonly number[];
}

export class Secrets {
  /** Each form, and whether more that follows belongs to it. */
  readonly #forms = new Map<string, boolean>();
  #address = '';

  /** From now on the page asks for `url`. */
  ask(url: string): void {
    const { origin, pathname } = new URL(url);
    this.#address = origin + pathname;
  }

  /** @param username that goes before it in a Basic header */
  add(secret: string, username?: string): void {
    this.#look(secret, false);
    for (const before of ['https://x/', 'https://x/?']) {
      this.#look(new URL(before + secret).href.slice(before.length), false);
    }
    for (const text of username === undefined ? [secret] : [secret, `${username}:${secret}`]) {
      const encoded = base64(text);
      this.#look(encoded, true);
      this.#look(encoded.replaceAll('+', '-').replaceAll('/', '_'), true);
    }
  }

  /** The first `longest` characters of `text`, with `•••` for each secret that begins in them. */
  hide(text: string, longest: number): string {
    const hidden: [start: number, end: number][] = [];
    for (const reading of readingsOf(text.slice(0, longest + ahead))) this.#find(reading, hidden);
    hidden.sort(([a], [b]) => a - b);
    let shown = '';
    let from = 0;
    for (const [start, end] of hidden) {
      if (start >= longest) break;
      if (start >= from) shown += text.slice(from, start) + hiddenText;
      from = Math.max(from, end);
    }
    return shown + text.slice(from, Math.max(from, longest));
  }

  #look(form: string, open: boolean): void {
    if (form.length >= shortest && !this.#forms.has(form)) this.#forms.set(form, open);
  }

  #find({ text, starts }: Reading, hidden: [start: number, end: number][]): void {
    for (const [form, open] of this.#forms) {
      if (this.#address.includes(form)) continue;
      const head = form.slice(0, headLength);
      for (let at = text.indexOf(head); at >= 0; ) {
        let end = at + head.length;
        while (end - at < form.length && text.charAt(end) === form.charAt(end - at)) end++;
        if (open || end - at < form.length) while (end < text.length && isTokenChar(text.charAt(end))) end++;
        hidden.push([starts[at] ?? 0, starts[end] ?? 0]);
        at = text.indexOf(head, end);
      }
    }
  }
}

/** Whole groups of three bytes: what follows in the encoded text changes the last. */
function base64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).slice(0, Math.floor(bytes.length / 3) * 4);
}

const tokenChars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=';

function isTokenChar(char: string): boolean {
  return tokenChars.includes(char);
}

function readingsOf(text: string): readonly Reading[] {
  const readings: Reading[] = [{ text, starts: Array.from({ length: text.length + 1 }, (_, at) => at) }];
  let from = 0;
  for (let layer = 0; layer < layers; layer++) {
    const outer = readings.slice(from);
    from = readings.length;
    for (const reading of outer) {
      const { text } = reading;
      if (text.includes('%')) readings.push(decoded(reading, readPercent));
      // Forms write a space so.
      if (text.includes('+')) readings.push(decoded(reading, readPlus));
      if (text.includes('\\')) readings.push(decoded(reading, readEscape));
    }
  }
  return readings;
}

type Read = readonly [chars: string, width: number];

function decoded({ text, starts }: Reading, read: (text: string, at: number) => Read): Reading {
  const from: number[] = [];
  let plain = '';
  for (let at = 0; at < text.length; ) {
    const [chars, width] = read(text, at);
    for (let unit = 0; unit < chars.length; unit++) from.push(starts[at] ?? 0);
    plain += chars;
    at += width;
  }
  return { text: plain, starts: [...from, starts[text.length] ?? 0] };
}

function readPlus(text: string, at: number): Read {
  return text.charAt(at) === '+' ? [' ', 1] : readPercent(text, at);
}

function readPercent(text: string, at: number): Read {
  if (text.charAt(at) !== '%') return [text.charAt(at), 1];
  // A character of UTF-8 is one to four bytes.
  for (const width of [3, 6, 9, 12]) {
    const chars = percentDecoded(text.slice(at, at + width));
    if (chars !== null) return [chars, width];
  }
  return ['%', 1];
}

/** `\u` and four digits (JSON), or any other escaped character. */
function readEscape(text: string, at: number): Read {
  if (text.charAt(at) !== '\\' || at + 1 === text.length) return [text.charAt(at), 1];
  const unit = text.charAt(at + 1) === 'u' ? text.slice(at + 2, at + 6) : '';
  const code = unit.length === 4 ? Number(`0x${unit}`) : Number.NaN;
  return Number.isNaN(code) ? [text.charAt(at + 1), 2] : [String.fromCharCode(code), 6];
}

function percentDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
