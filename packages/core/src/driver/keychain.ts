/**
 * Keychains that need no file and no program.
 *
 * Rules of this file: an origin matches exactly, by host and port, and never by a part of its name (CVE-2026-59891).
 */

import { type Credential, credentialKey } from '../credential.ts';
import type { Found, Keychain } from './port.ts';

/** Knows nobody, for every registry. */
export const anonymousKeychain: Keychain = {
  async find() {
    return { credential: null, source: 'anonymous' };
  },
};

/**
 * Credentials given in code.
 *
 * @param entries by `host:port`, or by `host` for the default port of https; `null` is nobody
 * @throws TypeError when a key is not a host with an optional port
 */
export function staticKeychain(entries: Readonly<Record<string, Credential | null>>): Keychain {
  const byHost = new Map<string, Credential | null>();
  for (const [key, credential] of Object.entries(entries)) byHost.set(hostKey(key), credential);
  return {
    async find(origin) {
      const host = hostAndPort(new URL(origin));
      const credential = byHost.get(host);
      return credential === undefined ? null : { credential, source: `given for ${new URL(origin).host}` };
    },
    replaced(origin, old, replacement) {
      const host = hostAndPort(new URL(origin));
      const held = byHost.get(host);
      if (held != null && credentialKey(held) === credentialKey(old)) byHost.set(host, replacement);
    },
  };
}

/** `host:port`, of https when it names none. */
function hostKey(key: string): string {
  const url = URL.canParse(`https://${key}`) ? new URL(`https://${key}`) : null;
  if (url === null || url.pathname !== '/' || url.search !== '' || url.username !== '' || key.includes('/')) {
    throw new TypeError(`[@reg/core] a keychain entry is named host or host:port, not '${key}'`);
  }
  return hostAndPort(url);
}

function hostAndPort(url: URL): string {
  const port = url.port === '' ? (url.protocol === 'http:' ? '80' : '443') : url.port;
  return `${url.hostname}:${port}`;
}

/** The first of several keychains that knows the registry, `null` credentials included. One that fails ends the search. */
export function chainKeychains(...keychains: readonly Keychain[]): Keychain {
  const owners = new WeakMap<Credential, Keychain>();
  return {
    async find(origin, repository, about): Promise<Found | null> {
      for (const keychain of keychains) {
        const found = await keychain.find(origin, repository, about);
        if (found === null) continue;
        if (found.credential !== null) owners.set(found.credential, keychain);
        return found;
      }
      return null;
    },
    async replaced(origin, old, replacement) {
      const owner = owners.get(old);
      if (owner === undefined) return;
      owners.set(replacement, owner);
      await owner.replaced?.(origin, old, replacement);
    },
  };
}
