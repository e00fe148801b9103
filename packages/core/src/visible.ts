/**
 * Text of others made safe to show.
 *
 * Rules of this file: what a terminal, a log or a reader could take for something else is spelled out, and nothing else is
 * changed. One pass, no regular expression.
 */

/**
 * Code points that move the cursor, end a line, turn the writing direction or take no room: C0, DEL and C1, soft hyphen,
 * joiners, bidi controls, separators, fillers, tags, and half a surrogate pair (CVE-2024-50349, CVE-2024-43785).
 * First and last of each range.
 */
const hidden: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

/**
 * `text` on one line, with every control and invisible character spelled out: `\n`, `\r`, `\t`, or `\u{202e}`.
 * Apply it to whatever came from a peer before it reaches a terminal, a log or an error message.
 */
export function toVisible(text: string): string {
  return spellHidden(text, spelled);
}

/** `text` with every control and invisible character as `spell` writes it. */
export function spellHidden(text: string, spell: (char: string) => string): string {
  let shown = '';
  let from = 0;
  let at = 0;
  for (const char of text) {
    if (isHidden(char)) {
      shown += text.slice(from, at) + spell(char);
      from = at + char.length;
    }
    at += char.length;
  }
  return from === 0 ? text : shown + text.slice(from);
}

function isHidden(char: string): boolean {
  if (char >= ' ' && char <= '~') return false;
  const point = pointOf(char);
  return hidden.some(([first, last]) => point >= first && point <= last);
}

function spelled(char: string): string {
  switch (char) {
    case '\t':
      return '\\t';
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    default:
      return `\\u{${pointOf(char).toString(16)}}`;
  }
}

/** The code point of a text that is one code point. */
function pointOf(char: string): number {
  return Number(char.codePointAt(0));
}
