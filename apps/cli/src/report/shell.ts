/**
 * Words of a shell, for commands that are shown to be copied.
 *
 * Rules of this file: whatever is not of our own making is quoted. A host name may hold `$(…)`, and a registry chooses the
 * host of its realm: a hint must not be a way to have the reader run it.
 */

/** `text` as one word of a POSIX shell. It has been made visible before, or is an origin or a reference. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
