/**
 * What a bystander is worth when it fails: a store, an observer.
 *
 * Rules of this file: one that throws or rejects is one that said nothing; no call ends for it.
 */

/** The result of `work`, or `null` when it throws or rejects. */
export async function orNothing<T>(work: () => T | Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch {
    return null;
  }
}
