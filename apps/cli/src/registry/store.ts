/**
 * The tokens that are kept for the next command.
 *
 * Rules of this file: nothing is kept for a user whose environment names no home and no place for caches.
 */

import { type FileTokenStore, fileTokenStore } from '@reg/node/stores';
import type { Surroundings } from '../surroundings.ts';
import { ownerOf } from './owner.ts';

export function storeAt(env: Surroundings['env']): FileTokenStore {
  return fileTokenStore({ home: '', ...ownerOf(env) });
}
