/**
 * The tokens that are kept for the next command.
 *
 * Rules of this file: nothing is kept for a user whose environment names no home and no place for caches.
 */

import { toVisible } from '@reg/core';
import { type FileTokenStore, fileTokenStore } from '@reg/node/stores';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';
import { ownerOf } from './owner.ts';

export function storeAt(env: Surroundings['env']): FileTokenStore {
  return fileTokenStore({ home: '', ...ownerOf(env) });
}

/**
 * Forgets all tokens, or those for the registry at `host`. They are kept by origin, and the name of a registry says nothing of
 * http: both are forgotten. Rejects with a `Complaint` where something stays.
 */
export async function clearTokens(store: FileTokenStore, host?: string): Promise<void> {
  try {
    if (host === undefined) return await store.clear();
    for (const scheme of ['https', 'http']) await store.clear(`${scheme}://${host}`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const why = error.code === 'REG_STORE_NOT_TRUSTED' ? error.message : String(error.code);
    throw new Complaint(exitCode.unexpected, `${store.path} cannot be cleared (${toVisible(why)})`, {
      hint: 'reg cache path',
    });
  }
}
