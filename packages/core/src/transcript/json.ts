/**
 * A transcript as a file.
 *
 * Rules of this file: the same transcript gives the same text, members in the order of its types; what a reader could not see
 * is written as an escape, which changes nothing of what is read back.
 */

import { spellHidden } from '../visible.ts';
import { readTranscript } from './shape.ts';
import type { Transcript } from './transcript.ts';

/** More than any transcript of the default limits, and a bound on what a file can make us read: 16 Mi UTF-16 units. */
const longest = 16_777_216;

/**
 * `transcript` as JSON, for files and for `replay`.
 *
 * @throws TypeError when it is none, naming the place
 */
export function toJson(transcript: Transcript): string {
  return writeJson(readTranscript(transcript));
}

/**
 * The transcript in a text that `toJson` wrote, or anything else did.
 *
 * @throws SyntaxError when `json` is no JSON, TypeError when it is no transcript, naming the place
 */
export function fromJson(json: string): Transcript {
  if (json.length > longest)
    throw new TypeError(`[@reg/core] not a transcript: longer than ${longest} characters`);
  return readTranscript(JSON.parse(json));
}

/** `value` as indented JSON on which a terminal or an editor shows every character. */
export function writeJson(value: unknown): string {
  return spellHidden(JSON.stringify(value, null, 2), (char) => (char === '\n' ? char : escaped(char)));
}

/** Each UTF-16 unit as JSON escapes it (RFC 8259 §7). */
function escaped(char: string): string {
  let text = '';
  for (let i = 0; i < char.length; i++) text += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return text;
}
