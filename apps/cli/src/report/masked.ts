/**
 * Secrets in a peer's words, for people.
 *
 * Rules of this file: what gives a secret back was given a name by the core, `redacted-1`, which is for programs that tell secrets
 * apart by it; single pass, since the text is a peer's.
 */

/** `text` with a mark in place of each such name. */
export function masked(text: string): string {
  const [first = '', ...rest] = text.split('redacted-');
  return first + rest.map((part) => `•••${part.replace(/^\d+/, '')}`).join('');
}
