/**
 * Whether a registry takes a credential.
 *
 * Rules of this file: the credential is the only one in reach, and no kept token is used, so that nothing else can be what was
 * accepted. That it was accepted says something only where another would not have been: so nobody is tried as well, and where
 * nobody is let in too, a login that was made up a moment ago, under a name that is no user's.
 */

import { randomBytes } from 'node:crypto';
import { type Credential, type Failure, isRegistryAuthError } from '@reg/core';
import type { Delivered, Keychain } from '@reg/core/driver';
import type { Transcript } from '@reg/core/transcript';
import { complaintAboutPage } from '../registry/answer.ts';
import type { Again } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import type { Body } from '../transport/body.ts';

/** What the registry was asked, and what that proves. */
export interface Verified {
  /** How it asked who is there; `null` when it did not. */
  readonly asked: {
    readonly scheme: 'basic' | 'bearer';
    readonly realm: string | null;
    readonly service: string | null;
  } | null;
  /** Its answer to the credential's GET of `/v2/`. */
  readonly status: number;
  /** Why the credential may be wrong all the same, for people; `null` where another would have been refused. */
  readonly doubt: string | null;
  /** For the credential's request, with its token. */
  readonly ms: number;
  /** What the registry says to the credential, to go on with. Close its client when that is done. */
  readonly delivered: Delivered<Body>;
}

/** A client that has `keychain` and no kept token. */
export type Open = (keychain: Keychain) => Promise<Client>;

/** A keychain with one credential, which its token server may replace. */
export interface Holder extends Keychain {
  /** The newest. */
  readonly credential: Credential;
}

/** Holds `credential` for the registry at `origin`, and for no other. */
export function holderOf(origin: string, credential: Credential, source: string): Holder {
  let newest = credential;
  return {
    get credential() {
      return newest;
    },
    find: async (registry) => (registry === origin ? { credential: newest, source } : null),
    replaced(registry, _, replacement) {
      if (registry === origin) newest = replacement;
    },
  };
}

/** What the registry answers nobody, with the token that nobody gets if there is one. */
export interface Anonymous {
  /** The registry's answer, or its token server's where that gave no token; `null` for none. */
  readonly status: number | null;
}

/** Asks as nobody. Rejects with what `client` rejects with where the registry itself has no answer, or with a `Complaint` for a web page. */
export async function askAnonymously(client: Client, ping: URL, again: Again): Promise<Anonymous> {
  try {
    const delivered = await client.get(ping);
    await delivered.raw.discard();
    const complaint = complaintAboutPage(delivered, again);
    if (complaint !== null) throw complaint;
    return { status: delivered.head.status };
  } catch (error) {
    // What a token server has against nobody need not be what it has against somebody.
    if (!isRegistryAuthError(error) || isOfRegistry(error.failure)) throw error;
    return { status: 'status' in error.failure ? error.failure.status : null };
  }
}

function isOfRegistry(failure: Failure): boolean {
  return (
    (failure.kind === 'network' && failure.to === 'registry') ||
    failure.kind === 'challenge-unusable' ||
    failure.kind === 'redirect-refused'
  );
}

/**
 * Asks with the credential in `holder`. Rejects with what the client rejects with; an answer that is no success is in
 * `delivered` of what it resolves to.
 *
 * @param anonymous what nobody is answered; `null` where it need not be known whether a wrong credential would do as well
 */
export async function verify(
  holder: Keychain,
  ping: URL,
  anonymous: Anonymous | null,
  open: Open,
): Promise<Verified> {
  const from = performance.now();
  const client = await open(holder);
  try {
    const delivered = await client.get(ping);
    await delivered.raw.discard();
    const { status } = delivered.head;
    const ms = performance.now() - from;
    const asked = askedIn(delivered.transcript());
    const doubt = status < 300 ? await doubtIn(asked, ping, anonymous, open) : null;
    return { asked, status, doubt, ms, delivered };
  } finally {
    client.close();
  }
}

async function doubtIn(
  asked: Verified['asked'],
  ping: URL,
  anonymous: Anonymous | null,
  open: Open,
): Promise<string | null> {
  if (asked === null) return 'the registry asks nobody who they are at /v2/, so it was not sent';
  if (anonymous === null || isNo(anonymous.status)) return null;
  const answer = await madeUp(ping, open);
  switch (answer) {
    case 'refused':
      return null;
    case 'accepted':
      return 'its token server gives a token to a login that was made up, too';
    case 'unknown':
      return (anonymous.status ?? 500) < 300
        ? 'nobody is let in too, and what a wrong login gets could not be found out'
        : 'what a wrong login gets could not be found out';
  }
}

/** Whether that is said to who asks, and not because of a fault or a limit, which everybody meets. */
function isNo(status: number | null): boolean {
  return status !== null && status >= 300 && status < 500 && status !== 429;
}

/** What a login gets that cannot be right. */
async function madeUp(ping: URL, open: Open): Promise<'accepted' | 'refused' | 'unknown'> {
  const username = `reg-check-${randomBytes(8).toString('hex')}`;
  const password = randomBytes(16).toString('hex');
  const client = await open(holderOf(ping.origin, { type: 'password', username, password }, 'made up'));
  try {
    const delivered = await client.get(ping);
    await delivered.raw.discard();
    const { status } = delivered.head;
    if (status < 300) return 'accepted';
    return isNo(status) ? 'refused' : 'unknown';
  } catch (error) {
    if (!isRegistryAuthError(error)) throw error;
    const { failure } = error;
    const isRefusal = failure.kind === 'credential-rejected' || failure.kind === 'token-refused';
    return isRefusal && isNo(failure.status) ? 'refused' : 'unknown';
  } finally {
    client.close();
  }
}

/** The first need of an operation: how the registry asked. */
function askedIn({ steps }: Transcript): Verified['asked'] {
  for (const step of steps) {
    if (step.machine !== 'handshake' || step.phase !== 'obtaining') continue;
    const { scheme, realm, service } = step.effect.need;
    return { scheme, realm, service };
  }
  return null;
}
