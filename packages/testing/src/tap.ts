/**
 * Canaries: secrets that can be recognised wherever they turn up, and the tap that looks for them.
 *
 * Rules of this file: a canary may appear only at places it was allowed at; a place is a server's origin, `stdout` or
 * `stderr`. The tap reads bytes, not requests, so that no parser of ours decides what counts as sent.
 *
 * How it finds them: every canary is `canary-` and 24 hexadecimal digits, so four constant markers (the prefix itself and
 * its base64 in three alignments) find all canaries, however many there are. Text with percent or JSON escapes is searched
 * once more without them. Compressed or encrypted bytes are not looked into.
 */

import { randomBytes } from 'node:crypto';

export interface Leak {
  /** The kind the canary was made with. */
  readonly kind: string;
  readonly place: string;
  /** Places where it would have been right. */
  readonly allowed: readonly string[];
}

export interface Tap {
  /** A new canary. `kind` names it in reports. It may appear nowhere yet. */
  mint(kind: string): string;
  /** Lets every canary in `text`, encoded or not, appear at the origin of `place`. */
  allow(text: string, place: string): void;
  /** A reader of one stream at `place`; it joins chunks, so each stream needs its own. */
  reader(place: string): (chunk: unknown) => void;
  /** What was found where it should not be, once per canary and place. */
  leaks(): readonly Leak[];
}

const PREFIX = 'canary-';
const DIGITS = 24;
const LENGTH = PREFIX.length + DIGITS;

/** Longest spelling of a canary: six characters for each, as in JSON's `\u0063`. */
const OVERLAP = LENGTH * 6;

export function createTap(): Tap {
  const kinds = new Map<string, string>();
  const allowed = new Map<string, Set<string>>();
  const seen = new Map<string, Set<string>>();

  const note = (map: Map<string, Set<string>>, canary: string, place: string) => {
    const places = map.get(canary);
    if (places === undefined) map.set(canary, new Set([place]));
    else places.add(place);
  };

  return {
    mint(kind) {
      const canary = newCanary();
      kinds.set(canary, kind);
      return canary;
    },
    allow(text, place) {
      for (const canary of canariesIn(text)) note(allowed, canary, originOf(place));
    },
    reader(place) {
      const where = originOf(place);
      let tail = '';
      return (chunk) => {
        const text = tail + latin1(chunk);
        for (const canary of canariesIn(text)) note(seen, canary, where);
        tail = text.slice(-OVERLAP);
      };
    },
    leaks() {
      const found: Leak[] = [];
      for (const [canary, places] of seen) {
        const right = allowed.get(canary) ?? new Set<string>();
        for (const place of places) {
          if (!right.has(place))
            found.push({ kind: kinds.get(canary) ?? 'unknown', place, allowed: [...right] });
        }
      }
      return found;
    },
  };
}

let active: Tap | null = null;

/** The tap that servers and `canary` use, if any. */
export function activeTap(): Tap | null {
  return active;
}

/** Makes servers started from here on feed `tap`. Returns what brings the former one back. */
export function activate(tap: Tap): () => void {
  const former = active;
  active = tap;
  return () => {
    active = former;
  };
}

/** A new secret, `canary-…`, to declare as a password or token. With the canary setup it may appear only where allowed. */
export function canary(kind: string): string {
  return active?.mint(kind) ?? newCanary();
}

/** Lets the canaries in `text` appear at `place`: a URL, whose origin counts, or `stdout` or `stderr`. */
export function allow(text: string, place: string): void {
  active?.allow(text, place);
}

const newCanary = (): string => `${PREFIX}${randomBytes(DIGITS / 2).toString('hex')}`;

const originOf = (place: string): string => (URL.canParse(place) ? new URL(place).origin : place);

function latin1(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk;
  return chunk instanceof Uint8Array ? Buffer.from(chunk).toString('latin1') : '';
}

/** Every canary in `text`, in any of the forms the header of this file names. */
export function canariesIn(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const spelling of spellings(text)) {
    for (const marker of markers) {
      for (let at = spelling.indexOf(marker.text); at >= 0; at = spelling.indexOf(marker.text, at + 1)) {
        const candidate = marker.read(spelling, at);
        if (isCanary(candidate)) found.add(candidate);
      }
    }
  }
  return found;
}

function* spellings(text: string): Generator<string> {
  yield text;
  const unescaped = text
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (unescaped !== text) yield unescaped;
}

interface Marker {
  readonly text: string;
  /** What stands at a hit, as plain text. */
  readonly read: (text: string, at: number) => string;
}

const markers: readonly Marker[] = [
  { text: PREFIX, read: (text, at) => text.slice(at, at + LENGTH) },
  ...[0, 1, 2].map(base64Marker),
];

/**
 * The prefix in base64 when `shift` bytes of its group stand before it. Of those characters only the ones made of prefix
 * bits alone are constant. No character of a canary ever encodes to `+`, `/`, `-` or `_`, so base64url looks the same.
 */
function base64Marker(shift: number): Marker {
  const first = Math.ceil((shift * 8) / 6);
  const last = Math.floor(((shift + PREFIX.length) * 8) / 6);
  const encoded = Buffer.from(' '.repeat(shift) + PREFIX).toString('base64');
  return {
    text: encoded.slice(first, last),
    read: (text, at) => {
      const start = at - first;
      const group =
        'A'.repeat(Math.max(0, -start)) +
        text.slice(Math.max(0, start), start + Math.ceil((shift + LENGTH) / 3) * 4);
      return Buffer.from(group, 'base64')
        .toString('latin1')
        .slice(shift, shift + LENGTH);
    },
  };
}

function isCanary(text: string): boolean {
  return text.length === LENGTH && text.startsWith(PREFIX) && !/[^0-9a-f]/.test(text.slice(PREFIX.length));
}
