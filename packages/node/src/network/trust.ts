/**
 * The pairs of registry and token server that the user trusts, as `reg trust` writes them down.
 *
 * Rules of this file: each pair releases passwords, so that a file which is not as it is written counts as a fault and not as a
 * part of one, and is not written to either; nothing reads it but who asks for it; what is not understood in it stays.
 */

import { join } from 'node:path';
import type { RealmPair } from '@reg/core';
import { editConfig } from '../credentials/edit.ts';
import { CredentialsError } from '../credentials/error.ts';
import { configFolder, type Owner, readConfigFile } from './config-file.ts';

/** A trust file that cannot be used. Its message names the file and the key. */
export class TrustError extends Error {
  override readonly name = 'TrustError';
  readonly code = 'ERR_REG_TRUST';
  readonly path: string;

  constructor(path: string, fault: string) {
    super(`${path}: ${fault}`);
    this.path = path;
  }
}

/** Where the pairs are: `$XDG_CONFIG_HOME/reg/trust.json`, else `~/.config/reg/trust.json`. `null` without a home. */
export function trustFile(owner: Owner = {}): string | null {
  const folder = configFolder(owner);
  return folder === null ? null : join(folder, 'reg', 'trust.json');
}

/**
 * The pairs for a policy, `{ realms: { pairs: await loadTrust() } }`. None when there is no file:
 *
 * ```json
 * { "version": 1, "pairs": [{ "registry": "https://registry.example:5000", "realm": "https://sso.example" }] }
 * ```
 *
 * Rejects with `TrustError` when the file cannot be read, may be written by anyone, or is not as above.
 */
export async function loadTrust(owner: Owner = {}): Promise<readonly RealmPair[]> {
  const path = trustFile(owner);
  return path === null ? [] : pairsAt(path);
}

/**
 * Writes `pair` into the file, which is made if there is none. Resolves to whether it was not there before.
 *
 * Rejects with `TrustError`, and leaves the file as it was, where `loadTrust` would, and when it cannot be written; with a
 * `TypeError` for a pair that is not two origins.
 */
export async function addTrust(pair: RealmPair, owner: Owner = {}): Promise<boolean> {
  return editPairs(pair, owner, (pairs, found) => (found.length === 0 ? [...pairs, pair] : pairs));
}

/** Takes `pair` out of the file. Resolves to whether it was there. Rejects as `addTrust` does. */
export async function removeTrust(pair: RealmPair, owner: Owner = {}): Promise<boolean> {
  // Nothing to take out is no reason to make a file.
  if ((await loadTrust(owner)).length === 0) return false;
  return editPairs(pair, owner, (pairs, found) => pairs.filter((one) => !found.includes(one)));
}

/**
 * Replaces the pairs in the file by what `change` makes of them. Resolves to whether they are others then.
 *
 * @param change gets them as they stand, and which of them are the same as `pair`
 */
async function editPairs(
  { registry, realm }: RealmPair,
  owner: Owner,
  change: (pairs: readonly unknown[], found: readonly unknown[]) => readonly unknown[],
): Promise<boolean> {
  if (!isOrigin(registry) || !isOrigin(realm)) {
    throw new TypeError('[@reg/node] a pair is two origins, as https://host:port');
  }
  const path = trustFile(owner);
  if (path === null) throw new TrustError('trust.json', 'has no place without a home directory');
  // Whoever else may write to it has written it.
  await pairsAt(path);
  try {
    return await editConfig(path, (content) => {
      const trust = Object.keys(content).length === 0 ? { version: 1, pairs: [] } : content;
      readPairs(path, trust);
      const pairs = listIn(path, trust);
      const found = pairs.filter(
        (one) => member(one, 'registry') === registry && member(one, 'realm') === realm,
      );
      const changed = change(pairs, found);
      const isChanged = changed.length !== pairs.length;
      return {
        config: isChanged ? { ...trust, pairs: changed } : content,
        work: async () => isChanged,
      };
    });
  } catch (error) {
    throw error instanceof CredentialsError ? new TrustError(error.path, error.fault) : error;
  }
}

async function pairsAt(path: string): Promise<readonly RealmPair[]> {
  const file = await readConfigFile(path);
  if (file === null) return [];
  if (file.bytes === null) throw new TrustError(path, file.fault);
  if (process.platform !== 'win32' && (file.mode & 0o002) !== 0) {
    throw new TrustError(path, 'may be written by anyone on this machine');
  }
  return readPairs(path, parsed(path, file.bytes));
}

function parsed(path: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new TrustError(path, 'is not JSON');
  }
}

function listIn(path: string, content: unknown): readonly unknown[] {
  if (member(content, 'version') !== 1) throw new TrustError(path, '"version" is not 1');
  const pairs = member(content, 'pairs');
  if (!Array.isArray(pairs)) throw new TrustError(path, '"pairs" is not a list');
  return pairs;
}

function readPairs(path: string, content: unknown): readonly RealmPair[] {
  return listIn(path, content).map((pair, index) => {
    const origin = (name: 'registry' | 'realm'): string => {
      const value = member(pair, name);
      if (typeof value === 'string' && isOrigin(value)) return value;
      throw new TrustError(path, `"pairs[${index}].${name}" is not an origin, as https://host:port`);
    };
    return { registry: origin('registry'), realm: origin('realm') };
  });
}

/** Exactly as a policy compares it: `https://a.example/` would match nothing. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, origin } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && origin === text;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
