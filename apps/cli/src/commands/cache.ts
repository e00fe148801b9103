/**
 * `reg cache`: the tokens that are kept for the next command.
 *
 * Rules of this file: a token is never printed. What is not there is no error: it is what was wanted.
 */

import { toVisible } from '@reg/core';
import type { StoredToken } from '@reg/node/stores';
import { registryTarget } from '../registry/argument.ts';
import type { CommonOptions } from '../registry/options.ts';
import { clearTokens, storeAt } from '../registry/store.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import type { Surroundings } from '../surroundings.ts';
import { table } from '../terminal/table.ts';

export interface CacheOptions extends CommonOptions {
  readonly output?: 'text' | 'json';
}

/** `reg cache ls`, `clear` and `path` */
export async function cache(
  action: 'ls' | 'clear' | 'path',
  registry: string | undefined,
  options: CacheOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { stdout, env } = surroundings;
  const store = storeAt(env);
  if (store.path === null) {
    throw new Complaint(
      exitCode.usage,
      'there is no folder for caches: neither XDG_CACHE_HOME nor HOME names one',
      {
        hint: 'reg help environment',
      },
    );
  }
  switch (action) {
    case 'ls': {
      const stored = sorted(await store.list());
      stdout.write(options.output === 'json' ? jsonOf(store.path, stored) : renderStored(stored));
      return;
    }
    case 'clear':
      await clearTokens(store, registry === undefined ? undefined : registryTarget(registry, {}).url.host);
      return;
    case 'path':
      stdout.write(`${store.path}\n`);
  }
}

function sorted(stored: readonly StoredToken[]): readonly StoredToken[] {
  const keyOf = ({ registry, kind, scopes }: StoredToken): string =>
    [registry, kind, scopes ?? ''].join('\n');
  return stored.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function jsonOf(path: string, stored: readonly StoredToken[]): string {
  const entries = stored.map(({ kind, registry, scopes, holder, expiresAt, bytes }) => ({
    kind,
    registry,
    scopes,
    credential: holder?.type ?? null,
    username: holder?.username ?? null,
    expiresAt: new Date(expiresAt).toISOString(),
    bytes,
  }));
  return jsonDocument({ path, entries });
}

const titles = ['REGISTRY', 'KEPT', 'WHOSE', 'UNTIL', 'FOR'] as const;

/** A table; nothing for nothing. */
export function renderStored(stored: readonly StoredToken[]): string {
  if (stored.length === 0) return '';
  return table([
    titles,
    ...stored.map(({ kind, registry, scopes, holder, expiresAt }) => [
      toVisible(registry),
      kind === 'grant' ? 'token' : 'challenge',
      toVisible(whoseOf(holder)),
      new Date(expiresAt).toISOString().replace(/\.\d+Z$/, 'Z'),
      toVisible(scopes ?? '') || '–',
    ]),
  ]);
}

function whoseOf(holder: StoredToken['holder']): string {
  switch (holder?.type) {
    case undefined:
      return '–';
    case 'password':
      return holder.username ?? '';
    case 'anonymous':
      return 'anonymous';
    case 'identity':
    case 'registry':
      return `${holder.type} token`;
  }
}
