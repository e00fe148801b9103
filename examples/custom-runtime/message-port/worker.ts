/**
 * The worker: it alone has the credential, and it alone speaks with registries.
 *
 * A page starts it and hands it one end of a `MessageChannel`. What keeps a script in the page from its secrets: a heap of its
 * own, and a Content-Security-Policy of its own. The page's allows no connection (`connect-src 'none'`), so that even the
 * address below is of no use there; the worker's, sent with this file, names the site and the registries.
 */

import { createRegistryFetch } from '@reg/browser';
import { staticKeychain } from '@reg/core/driver';
import { type Served, serve } from './serve.ts';

/** The site's own, told by its cookie who is signed in: `{ registry, realm, username, password }`, origins and texts. */
const settingsUrl = '/settings.json';

let client: Promise<Served> | undefined;

addEventListener('message', ({ ports: [port] }) => {
  if (port !== undefined) serve(port, served);
});

/** One client for all pages: they share its tokens. One that could not be made is made anew for the next request. */
function served(): Promise<Served> {
  client ??= createClient().catch((error: unknown) => {
    client = undefined;
    throw error;
  });
  return client;
}

async function createClient(): Promise<Served> {
  const response = await fetch(settingsUrl);
  const settings: unknown = await response.json();
  const [registry, realm] = [textOf(settings, 'registry'), textOf(settings, 'realm')];
  const [username, password] = [textOf(settings, 'username'), textOf(settings, 'password')];
  const keychain = staticKeychain({ [new URL(registry).host]: { type: 'password', username, password } });
  const policy = { realms: { pairs: [{ registry, realm }] } };
  return { fetch: createRegistryFetch({ keychain, policy }), registries: [registry] };
}

function textOf(settings: unknown, name: string): string {
  const fields: [string, unknown][] =
    typeof settings === 'object' && settings !== null ? Object.entries(settings) : [];
  const value = new Map(fields).get(name);
  if (typeof value !== 'string') throw new TypeError(`${settingsUrl} holds no ${name}`);
  return value;
}
