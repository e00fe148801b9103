/**
 * `reg trust`: which token servers may see the credentials of which registry, as the operator said.
 *
 * Rules of this file: a pair is two origins, and shown as such; what would release nothing is refused and not written down; to
 * say a thing twice is no error.
 */

import { type RealmPair, toVisible } from '@reg/core';
import { addTrust, loadTrust, removeTrust, TrustError, trustFile } from '@reg/node/network';
import { shownPlace } from '../credentials/place.ts';
import { registryIn, registryTarget } from '../registry/argument.ts';
import type { CommonOptions } from '../registry/options.ts';
import { ownerOf } from '../registry/owner.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';
import { table } from '../terminal/table.ts';

export interface TrustOptions extends CommonOptions {
  readonly output?: 'text' | 'json';
}

/** `reg trust list` */
export async function listTrust(
  { output, quiet }: TrustOptions,
  { stdout, stderr, env }: Surroundings,
): Promise<undefined> {
  const pairs = await orComplaint(() => loadTrust(ownerOf(env)));
  const path = trustFile(ownerOf(env));
  if (output === 'json') {
    const shown = pairs.map(({ registry, realm }) => ({ registry, realm }));
    stdout.write(jsonDocument({ path, pairs: shown }));
    return;
  }
  stdout.write(table(pairs.map(({ registry, realm }) => [registry, realm])));
  if (pairs.length === 0 && quiet !== true) stderr.write('reg: nothing was added to what is known\n');
}

/** `reg trust add` and `reg trust remove` */
export async function changeTrust(
  action: 'add' | 'remove',
  registry: string,
  realm: string,
  { quiet }: TrustOptions,
  { stderr, env }: Surroundings,
): Promise<undefined> {
  const target = registryTarget(registry, {});
  const pair: RealmPair = { registry: target.url.origin, realm: readRealm(realm) };
  if (action === 'add') checkUse(pair, target.shown);
  const change = action === 'add' ? addTrust : removeTrust;
  const changed = await orComplaint(() => change(pair, ownerOf(env)));
  if (quiet === true) return;
  const place = shownPlace(trustFile(ownerOf(env)) ?? '', env);
  const both = `${pair.realm} and the credentials of ${pair.registry}`;
  stderr.write(
    action === 'add'
      ? `reg: ${changed ? `trusted from now on: ${both}, in ${place}` : `trusted already: ${both}`}\n`
      : `reg: ${changed ? `not trusted any more: ${both}` : `never trusted in ${place}: ${both}`}\n`,
  );
}

/** The origin of a token server: of an origin, or of the URL in a challenge. */
function readRealm(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (
    url === null ||
    (url.protocol !== 'https:' && url.protocol !== 'http:') ||
    url.username !== '' ||
    url.password !== ''
  ) {
    // What has a `@` in it may have a password before it.
    const given = text.includes('@') ? 'what was given' : `'${toVisible(text).slice(0, 200)}'`;
    throw usage(`a token server is named by its origin, like https://auth.example, not ${given}`);
  }
  return url.origin;
}

/** Refuses a pair that changes nothing: no pair lets a credential travel for all to read, and none is needed within an origin. */
function checkUse({ registry, realm }: RealmPair, shown: string): void {
  const url = new URL(realm);
  // A host of this machine speaks http unless told otherwise.
  if (url.protocol === 'http:' && registryIn({ url, registry: url.host }, {}) !== url.host) {
    throw usage(
      `${realm} is plain http, where everyone on the way can read a password; trust does not change that, and it would not be sent`,
      `reg login ${quote(shown)} --plain-http --trust-realm ${quote(realm)}   # where the network in between is yours`,
    );
  }
  if (registry === realm) throw usage(`${registry} may see its own credentials, and needs no trust`);
}

async function orComplaint<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    throw new Complaint(exitCode.credentials, error.message, {
      hint: `ls -l ${quote(toVisible(error.path))}`,
    });
  }
}
