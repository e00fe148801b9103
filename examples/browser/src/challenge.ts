/**
 * A `WWW-Authenticate` field to look at: the text with its faults marked, and what it was read as.
 *
 * Rules of this file: pure. The core decides what the text means; here only the places it names are found again. What is shown
 * is made visible and is bounded, however long the field is: a page that draws a megabyte stands still.
 */

import { type Challenge, parseChallenges, parseScopes, toVisible } from '@reg/core';
import { mostShown, shownText, shownWord, shownWords } from './bounds.ts';

export interface Piece {
  readonly text: string;
  /** Which of `faults` begins here, from 1; 0 for text that is as it should be. */
  readonly fault: number;
}

export interface ReadParam {
  readonly name: string;
  readonly value: string;
}

export interface ReadChallenge {
  readonly scheme: string;
  readonly lenient: boolean;
  readonly token68: string | null;
  readonly params: readonly ReadParam[];
}

export interface ReadField {
  readonly pieces: readonly Piece[];
  /** Characters of the field beyond those in `pieces`. */
  readonly unshown: number;
  readonly challenges: readonly ReadChallenge[];
  readonly faults: readonly { readonly offset: number; readonly message: string }[];
  /** Realm of the first Bearer challenge that has one, as it came. */
  readonly realm: string | null;
}

/** A screenful. The longest known field is below 2 KiB. */
const longestShown = 2_400;
const longestValue = 600;

/** Reads a field, given as its lines. */
export function readField(lines: readonly string[]): ReadField {
  const { challenges, problems } = parseChallenges(lines);
  const text = lines.join(', ');
  const faults = problems.slice(0, mostShown).map(({ offset, message }) => ({ offset, message }));
  const realm = challenges.find(({ scheme, params }) => scheme === 'bearer' && params['realm'] !== undefined);
  return {
    pieces: piecesOf(text.slice(0, longestShown), faults),
    unshown: Math.max(0, text.length - longestShown),
    challenges: challenges.map(readChallenge),
    faults,
    realm: realm?.params['realm'] ?? null,
  };
}

/** The lines of a field as people paste them: with the field's name or without, as `curl -v` or a browser shows them. */
export function linesOf(pasted: string): readonly string[] {
  return pasted
    .split('\n')
    .map((line) => withoutName(line.endsWith('\r') ? line.slice(0, -1) : line))
    .filter((line) => line.trim() !== '');
}

const fieldName = 'www-authenticate:';

function withoutName(line: string): string {
  const start = line.startsWith('< ') ? 2 : 0;
  const name = line.slice(start, start + fieldName.length).toLowerCase();
  return name === fieldName ? line.slice(start + fieldName.length).trimStart() : line;
}

function readChallenge({ scheme, token68, params, lenient }: Challenge): ReadChallenge {
  return {
    scheme: shownWord(scheme),
    lenient,
    token68: token68 === undefined ? null : cut(token68),
    params: Object.entries(params)
      .slice(0, mostShown)
      .map(([name, value]) => ({ name: shownWord(name), value: cut(value) })),
  };
}

/** Each fault is marked from its offset to the end of the word there. */
function piecesOf(text: string, faults: ReadField['faults']): readonly Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const [index, { offset }] of faults.entries()) {
    // Two faults of one place share its mark.
    if (offset < from || offset > text.length) continue;
    const end = wordEnd(text, offset);
    if (offset > from) pieces.push({ text: toVisible(text.slice(from, offset)), fault: 0 });
    pieces.push({ text: toVisible(text.slice(offset, end)), fault: index + 1 });
    from = end;
  }
  if (from < text.length) pieces.push({ text: toVisible(text.slice(from)), fault: 0 });
  return pieces;
}

/** Where the word at `start` ends; a delimiter is a word of its own. */
function wordEnd(text: string, start: number): number {
  let end = start + 1;
  if (delimiters.includes(text.charAt(start))) return end;
  while (end < text.length && !delimiters.includes(text.charAt(end))) end++;
  return Math.min(end, text.length);
}

const delimiters = ' ,;=';

function cut(text: string): string {
  return shownText(text, longestValue);
}

/** The scopes in a text, one an entry: what they name and what they let do. */
export function scopeEntries(
  text: string,
): readonly { readonly what: string; readonly actions: readonly string[] }[] {
  return parseScopes(text)
    .slice(0, mostShown)
    .map((scope) =>
      'opaque' in scope
        ? { what: cut(scope.opaque), actions: [] }
        : {
            what: cut(`${scope.type}:${scope.name}`),
            actions: shownWords(scope.actions),
          },
    );
}
