/**
 * How much of a peer's text is looked at, and how it is written.
 *
 * Rules of this file: pure. A text is cut before it is made visible, so that no length of it costs more than what is shown.
 */

import { toVisible } from '@reg/core';

/** Of a name or an action, which is a word (`pull`, `push`, `delete`, `*`). */
const longestWord = 48;
/** Entries of a list that are shown. */
export const mostShown = 24;

/** The first `longest` characters of `text`, made visible; a longer one ends with an ellipsis. */
export function shownText(text: string, longest: number): string {
  const shown = toVisible(text.slice(0, longest));
  return text.length > longest ? `${shown}…` : shown;
}

export function shownWord(text: string): string {
  return shownText(text, longestWord);
}

export function shownWords(texts: readonly string[]): readonly string[] {
  const words = texts.slice(0, mostShown).map(shownWord);
  return texts.length > mostShown ? [...words, '…'] : words;
}
