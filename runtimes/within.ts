/**
 * A wait with a limit.
 *
 * Rules of this folder: nothing is waited for without one, since a runtime that hangs is to be red with the reason.
 */

/** Chromium on a busy machine takes its time. */
export const startMs = 120_000;

/** What `wait` comes to. Rejects with an `Error`, `<what> within <ms> ms`, when it comes to nothing in time. */
export async function within<T>(ms: number, what: string, wait: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
  });
  return Promise.race([wait, late]).finally(() => clearTimeout(timer));
}
