/**
 * The grammar of `WWW-Authenticate` (RFC 9110 §11.2 to §11.6.1), read as servers really send it.
 *
 * Rules of this file:
 * 1. Nothing throws, whatever comes. What is wrong is a problem with its place; what cannot be used is left out.
 * 2. A challenge that was read by guessing is marked `lenient` and has a problem for every guess. A guess only ever finds
 *    where a name or a value ends; no text is invented.
 * 3. One pass, no regular expression: every step moves forward, and a look ahead spans two words at most, so that each
 *    character is looked at a fixed number of times. `limits` bounds the rest (CVE-2021-21240, CVE-2023-38039).
 * 4. Messages hold none of the header's own text, so that they can be shown anywhere (requirement 24).
 *
 * Theory: the field is a list of words between commas. A word with `=` behind it is a parameter of the challenge before it;
 * any other word begins a challenge. So `Bearer realm="a", service="b", Basic` needs no look back, several lines are one
 * list (Q03, Q04), and an empty element is nothing (requirement 17).
 *
 * What each fault costs:
 * - an unquoted value with characters that need quotes, a repeated parameter, a missing comma, `;`, a parameter without a
 *   value, a word that is no word: the challenge is lenient (requirements 21 and 23, Q07, Q10, Q21);
 * - a control character, CR and LF among them: the challenge it is in is left out (requirement 24). It reads as a blank, so
 *   that the challenges behind it stand;
 * - a quote that is never closed, or that closes in the middle of a word: the challenge is left out with the rest of its
 *   line, since nobody can say what was meant to be inside quotes;
 * - more than `limits` allow: nothing is read at all.
 */

/** One way to authenticate that a server offers. */
export interface Challenge {
  /** Lower case, since schemes compare without case (Q01). */
  readonly scheme: string;
  /** What follows schemes such as `Negotiate` in place of parameters. */
  readonly token68?: string;
  /**
   * By lower-case name, unquoted. No prototype: `__proto__` and `constructor` are names like any other. Of a repeated
   * parameter the first value is kept, but every `scope`, joined with spaces (Q10).
   */
  readonly params: Readonly<Record<string, string>>;
  /** Whether the challenge breaks the grammar and was read all the same. */
  readonly lenient: boolean;
}

/** Where a field breaks the grammar, and how. */
export interface ChallengeProblem {
  /** UTF-16 units from the start of the value; of several lines, from the start of all of them joined with `", "`. */
  readonly offset: number;
  readonly message: string;
}

export interface ParsedChallenges {
  /** In the order of the field. */
  readonly challenges: readonly Challenge[];
  /** In the order they were found. */
  readonly problems: readonly ChallengeProblem[];
}

/** What a field may hold at most (requirement 22). */
export interface ChallengeLimits {
  /** UTF-16 units of all lines, joined. */
  readonly challengeBytes: number;
  readonly challenges: number;
  /** Parameters in one challenge. */
  readonly params: number;
  /** UTF-16 units of a realm. */
  readonly realmChars: number;
}

/** The longest known field, a Bearer challenge with a signed state in its realm, is below 2 KiB. */
export const challengeLimits: ChallengeLimits = {
  challengeBytes: 16_384,
  challenges: 16,
  params: 32,
  realmChars: 2_048,
};

/**
 * Reads the `WWW-Authenticate` field of a response.
 *
 * @param value the field's value, or its lines: several lines are one list (RFC 9110 §5.3), but a quote that one line
 *   leaves open does not reach into the next. Anything else, as untyped callers may pass, is an absent field.
 * @param limits beyond which nothing is read: no challenges and one problem
 * @returns every challenge that can be used, strict or lenient, and every problem met on the way. Never throws.
 */
export function parseChallenges(
  value: string | readonly string[],
  limits: ChallengeLimits = challengeLimits,
): ParsedChallenges {
  const reader = new FieldReader(limits);
  let offset = 0;
  for (const line of linesOf(value)) {
    if (offset + line.length > limits.challengeBytes)
      return tooMuch(limits.challengeBytes, 'the field is too long');
    const fault = reader.readLine(line, offset);
    if (fault !== null) return tooMuch(fault.offset, fault.message);
    offset += line.length + 2;
  }
  return reader.result();
}

function linesOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((line) => typeof line === 'string') : [];
}

function tooMuch(offset: number, message: string): ParsedChallenges {
  return { challenges: [], problems: [{ offset, message }] };
}

/** A challenge while it is read. Its scheme is `null` when a parameter or worse came before any scheme. */
interface Draft {
  readonly scheme: string | null;
  token68: string | null;
  readonly params: Record<string, string>;
  /** Parameters and unreadable words so far. */
  words: number;
  lenient: boolean;
  usable: boolean;
}

/** What the next word follows, which says whether a comma is missing. */
type Behind = 'separator' | 'scheme' | 'word';

class FieldReader {
  readonly #limits: ChallengeLimits;
  readonly #drafts: Draft[] = [];
  readonly #problems: ChallengeProblem[] = [];
  /** The one problem of a field that is over the limits. */
  #fault: ChallengeProblem | null = null;
  #line = '';
  /** Offset of the line in the whole field. */
  #offset = 0;
  #at = 0;
  #behind: Behind = 'separator';

  constructor(limits: ChallengeLimits) {
    this.#limits = limits;
  }

  /** Reads one line on top of what was read before; a problem when that is too much. */
  readLine(line: string, offset: number): ChallengeProblem | null {
    this.#line = line;
    this.#offset = offset;
    this.#at = 0;
    this.#behind = 'separator';
    while (this.#fault === null && this.#skipSeparators()) this.#word();
    return this.#fault;
  }

  result(): ParsedChallenges {
    const challenges: Challenge[] = [];
    for (const { scheme, token68, params, lenient, usable } of this.#drafts) {
      if (scheme === null || !usable) continue;
      challenges.push({ scheme, ...(token68 === null ? {} : { token68 }), params, lenient });
    }
    return { challenges, problems: this.#problems };
  }

  /** To the next word of the line; false when there is none. */
  #skipSeparators(): boolean {
    let reported = false;
    for (;;) {
      this.#skipBlanks();
      const unit = this.#unit(this.#at);
      if (unit !== COMMA && unit !== SEMICOLON) return this.#at < this.#line.length;
      if (unit === SEMICOLON && !reported) {
        this.#guess(this.#at, 'a semicolon stands where a comma belongs');
        reported = true;
      }
      this.#behind = 'separator';
      this.#at++;
    }
  }

  #word(): void {
    const start = this.#at;
    const end = this.#tokenEnd(start);
    const next = this.#blankEnd(end);
    if (end > start && this.#unit(next) === EQUALS) this.#param(start, end, next + 1);
    else if (this.#behind === 'word' && this.#unit(start - 1) === QUOTE) {
      // `realm="https://a/t, Basic realm="b"`: what reads as a value was meant to lie between two.
      this.#abandonLine(start, 'a quote closes in the middle of a word');
    } else if (end > start && this.#endsWord(end)) this.#scheme(start, end);
    else this.#unreadable(start);
  }

  #scheme(start: number, end: number): void {
    const commaMissing = this.#behind !== 'separator';
    const draft = this.#begin(start, this.#line.slice(start, end).toLowerCase());
    if (commaMissing) this.#guess(start, 'a comma is missing before this challenge');
    this.#at = end;
    this.#skipBlanks();
    const tokenStart = this.#at;
    let tokenEnd = tokenStart;
    while (isToken68(this.#unit(tokenEnd))) tokenEnd++;
    if (tokenEnd > tokenStart) {
      while (this.#unit(tokenEnd) === EQUALS) tokenEnd++;
      // What follows the `=` decides (requirement 18): nothing after a token68, a value after a parameter's name.
      const next = this.#blankEnd(tokenEnd);
      if (next === this.#line.length || this.#unit(next) === COMMA) {
        draft.token68 = this.#line.slice(tokenStart, tokenEnd);
        this.#at = tokenEnd;
      }
    }
    this.#behind = 'scheme';
  }

  /** @param at behind the equals sign */
  #param(start: number, end: number, at: number): void {
    const draft = this.#drafts.at(-1) ?? this.#spoil(start, 'a parameter comes before any scheme');
    if (!this.#countWord(draft, start)) return;
    if (this.#behind === 'word') this.#guess(start, 'a comma is missing before this parameter');
    if (draft.token68 !== null) this.#guess(start, 'a parameter follows a token68');
    this.#behind = 'word';
    this.#at = at;
    this.#skipBlanks();
    const unit = this.#unit(this.#at);
    if (this.#at === this.#line.length || unit === COMMA || unit === SEMICOLON) {
      this.#guess(start, 'a parameter has no value');
      return;
    }
    const value = unit === QUOTE ? this.#quoted() : this.#unquoted();
    if (value !== null) this.#assign(draft, this.#line.slice(start, end).toLowerCase(), value, start);
  }

  #assign(draft: Draft, name: string, value: string, start: number): void {
    if (name === 'realm' && value.length > this.#limits.realmChars) {
      this.#fault = this.#problem(start, 'the realm is too long');
      return;
    }
    const before = draft.params[name];
    if (before === undefined) {
      draft.params[name] = value;
      return;
    }
    this.#guess(start, name === 'scope' ? 'another scope is given' : 'a parameter is repeated');
    if (name === 'scope')
      draft.params[name] = before === '' ? value : value === '' ? before : `${before} ${value}`;
  }

  /** The value of the quoted-string that starts here (RFC 9110 §5.6.4); `null` when it has no end. */
  #quoted(): string | null {
    const open = this.#at;
    let value = '';
    let from = open + 1;
    for (let at = from; at < this.#line.length; at++) {
      const unit = this.#unit(at);
      if (unit === QUOTE) {
        this.#at = at + 1;
        return value + this.#line.slice(from, at);
      }
      if (unit === BACKSLASH) {
        value += this.#line.slice(from, at);
        from = ++at;
      }
      if (isControl(this.#unit(at))) this.#spoil(at, 'a control character stands in a value');
    }
    this.#abandonLine(open, 'a quote is never closed');
    return null;
  }

  /** A token, or what stands where one belongs; `null` when a quote in it makes the end unknowable. */
  #unquoted(): string | null {
    const start = this.#at;
    const end = this.#tokenEnd(start);
    const next = this.#blankEnd(end);
    if (end > start && (this.#endsValue(end) || (next > end && this.#startsParam(next)))) {
      this.#at = end;
      return this.#line.slice(start, end);
    }
    let at = end;
    // Behind the last character that is no blank.
    let last = end;
    while (!this.#endsLooseValue(at)) {
      const unit = this.#unit(at);
      if (unit === QUOTE) {
        this.#abandonLine(at, 'a quote opens in the middle of a word');
        return null;
      }
      if (isControl(unit)) this.#spoil(at, 'a control character stands in a value');
      at++;
      if (!isBlank(unit)) last = at;
    }
    this.#guess(start, 'a value has characters that need quotes');
    this.#at = at;
    return this.#line.slice(start, last);
  }

  /** Whether a token that ends at `at` is all of the value. */
  #endsValue(at: number): boolean {
    const next = this.#blankEnd(at);
    const unit = this.#unit(next);
    return next === this.#line.length || unit === COMMA || unit === SEMICOLON;
  }

  /**
   * Whether a value with characters that need quotes ends at `at` (Q07, Q08). It may hold blanks and commas: the realm
   * `zot registry`, the scope `repository:a/b:pull,push`. It ends where a parameter or a challenge with one begins, and at
   * a comma with a blank behind it, since that is how stacks join lines (Q04).
   */
  #endsLooseValue(at: number): boolean {
    if (at >= this.#line.length) return true;
    const unit = this.#unit(at);
    if (isBlank(unit)) return !isBlank(this.#unit(at - 1)) && this.#startsParam(this.#blankEnd(at));
    if (unit === SEMICOLON) {
      const next = this.#blankEnd(at + 1);
      return next === this.#line.length || this.#startsParam(next);
    }
    if (unit !== COMMA) return false;
    const next = this.#unit(at + 1);
    if (at + 1 === this.#line.length || next === COMMA || isBlank(next)) return true;
    const end = this.#tokenEnd(at + 1);
    const behind = this.#blankEnd(end);
    return end > at + 1 && (this.#unit(behind) === EQUALS || (behind > end && this.#startsParam(behind)));
  }

  /** Whether a name with `=` behind it stands at `at`. */
  #startsParam(at: number): boolean {
    const end = this.#tokenEnd(at);
    return end > at && this.#unit(this.#blankEnd(end)) === EQUALS;
  }

  /** Whether a word may end at `at`. */
  #endsWord(at: number): boolean {
    const unit = this.#unit(at);
    return at === this.#line.length || unit === COMMA || unit === SEMICOLON || isBlank(unit);
  }

  /** Skips to the next comma what is neither a scheme nor a parameter. */
  #unreadable(start: number): void {
    const draft = this.#drafts.at(-1) ?? this.#spoil(start, 'the field does not begin with a scheme');
    if (!this.#countWord(draft, start)) return;
    this.#behind = 'word';
    for (; this.#at < this.#line.length && this.#unit(this.#at) !== COMMA; this.#at++) {
      const unit = this.#unit(this.#at);
      if (unit === QUOTE) {
        this.#abandonLine(this.#at, 'a quote opens where no value is');
        return;
      }
      if (isControl(unit)) this.#spoil(this.#at, 'a control character stands in a word');
    }
    this.#guess(start, 'this is neither a scheme nor a parameter');
  }

  #begin(start: number, scheme: string | null): Draft {
    if (this.#drafts.length >= this.#limits.challenges) {
      this.#fault = this.#problem(start, 'there are too many challenges');
    }
    const params: Record<string, string> = Object.create(null);
    const draft: Draft = { scheme, token68: null, params, words: 0, lenient: false, usable: true };
    this.#drafts.push(draft);
    return draft;
  }

  #countWord(draft: Draft, start: number): boolean {
    if (++draft.words <= this.#limits.params) return true;
    this.#fault = this.#problem(start, 'a challenge has too many parameters');
    return false;
  }

  /** Notes a fault that was read over. Of a challenge that cannot be used it does not matter. */
  #guess(at: number, message: string): void {
    const draft = this.#drafts.at(-1) ?? this.#spoil(at, message);
    if (!draft.usable) return;
    draft.lenient = true;
    this.#problems.push(this.#problem(at, message));
  }

  /** Makes the challenge being read unusable. Its first such fault is reported, what else it has is not. */
  #spoil(at: number, message: string): Draft {
    const draft = this.#drafts.at(-1) ?? this.#begin(at, null);
    if (draft.usable) this.#problems.push(this.#problem(at, message));
    draft.usable = false;
    return draft;
  }

  #abandonLine(at: number, message: string): void {
    this.#spoil(at, message);
    this.#at = this.#line.length;
  }

  #problem(at: number, message: string): ChallengeProblem {
    return { offset: this.#offset + at, message };
  }

  /** NaN past the end, which no comparison takes for a character. */
  #unit(at: number): number {
    return this.#line.charCodeAt(at);
  }

  #tokenEnd(at: number): number {
    let end = at;
    while (isTokenChar(this.#unit(end))) end++;
    return end;
  }

  #blankEnd(at: number): number {
    let end = at;
    while (isBlank(this.#unit(end))) end++;
    return end;
  }

  /** Past blanks; the control characters among them spoil the challenge before them. */
  #skipBlanks(): void {
    for (; isBlank(this.#unit(this.#at)); this.#at++) {
      if (isControl(this.#unit(this.#at))) this.#spoil(this.#at, 'a control character stands between words');
    }
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** SP and HTAB (RFC 9110 §5.6.3), and control characters, which spoil what they are in but separate words. */
function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || isControl(unit);
}

/** What RFC 9110 §5.5 forbids in a field. Units from 0x80 up are `obs-text`, kept as they came. */
function isControl(unit: number): boolean {
  return (unit < 0x20 && unit !== 0x09) || unit === 0x7f;
}

function isAlphanumeric(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39);
}

/** `tchar` (RFC 9110 §5.6.2). */
function isTokenChar(unit: number): boolean {
  return isAlphanumeric(unit) || (unit < 0x80 && "!#$%&'*+-.^_`|~".includes(String.fromCharCode(unit)));
}

/** A `token68` before its `=` (RFC 9110 §11.2). */
function isToken68(unit: number): boolean {
  return isAlphanumeric(unit) || (unit < 0x80 && '-._~+/'.includes(String.fromCharCode(unit)));
}
