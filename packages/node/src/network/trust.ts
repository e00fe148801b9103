/**
 * The pairs of registry and token server that the user trusts, as `reg trust` writes them down.
 *
 * Rules of this file: each pair releases passwords, so that a file which is not as it is written counts as a fault and not as a
 * part of one; nothing reads it but who asks for it.
 */

import { join } from 'node:path';
import type { RealmPair } from '@reg/core';
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
  const file = path === null ? null : await readConfigFile(path);
  if (path === null || file === null) return [];
  if (file.bytes === null) throw new TrustError(path, file.fault);
  if (process.platform !== 'win32' && (file.mode & 0o002) !== 0) {
    throw new TrustError(path, 'may be written by anyone on this machine');
  }
  return readPairs(path, file.bytes);
}

function readPairs(path: string, bytes: Buffer): readonly RealmPair[] {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new TrustError(path, 'is not JSON');
  }
  if (member(content, 'version') !== 1) throw new TrustError(path, '"version" is not 1');
  const pairs = member(content, 'pairs');
  if (!Array.isArray(pairs)) throw new TrustError(path, '"pairs" is not a list');
  return pairs.map((pair: unknown, index) => {
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
