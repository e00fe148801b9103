/**
 * JSON that can be shown: a terminal does nothing but print it.
 *
 * Rules of this file: what is escaped parses to what it was. JSON escapes C0 alone; a peer's C1 or bidi controls would reach the
 * terminal (RFC 8259 §7 lets any character be escaped).
 */

import { toVisible } from '@reg/core';

/** `value` as one indented document. */
export function jsonDocument(value: unknown): string {
  return `${escaped(JSON.stringify(value, null, 2))}\n`;
}

/** `value` on one line. */
export function jsonLine(value: unknown): string {
  return `${escaped(JSON.stringify(value))}\n`;
}

function escaped(json: string): string {
  return json.replace(/[^\n -~]/gu, (char) => {
    if (toVisible(char) === char) return char;
    return Array.from({ length: char.length }, (_, i) => `\\u${hex(char.charCodeAt(i))}`).join('');
  });
}

function hex(unit: number): string {
  return unit.toString(16).padStart(4, '0');
}
