/**
 * Which helper a config names for a registry.
 *
 * Rules of this file: `credHelpers` changes and nothing else; a registry is named there once, under the key that it has already,
 * else the one that Docker or Podman looks for first; what is kept where does not move.
 */

import { member, objectIn, shown, textIn } from './config.ts';
import { type Flavor, helperIn } from './config-file.ts';
import { configAt, editConfig } from './edit.ts';
import { isHelperName } from './helper.ts';
import { type Names, namesOf } from './names.ts';
import { loginPath, type SurroundingsOptions } from './places.ts';
import { helperKeys } from './registry.ts';

/** What `assignHelper` makes of `credHelpers`. */
export interface Assigned {
  readonly path: string;
  /** The registry's name there. */
  readonly key: string;
  /** `credHelpers`, before and after. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
}

export interface AssignOptions extends SurroundingsOptions {
  /** The file to write. Default: as for `saveCredential`. */
  readonly path?: string;
  /** Whose rules the file follows. Default: `docker`. */
  readonly flavor?: Flavor;
  /** Change nothing, and resolve to what would be changed. */
  readonly dryRun?: boolean;
}

/**
 * Names `docker-credential-<helper>` in a config as the one to ask for the credential of a registry. Nothing that is kept moves.
 *
 * Rejects with `CredentialsError` when the config cannot be understood or written; with a `TypeError` for what is no name of a
 * registry or of a helper.
 *
 * @param registry as for `saveCredential`, without a namespace
 */
export async function assignHelper(
  registry: string,
  helper: string,
  options: AssignOptions = {},
): Promise<Assigned> {
  checkHelper(helper);
  const { flavor = 'docker' } = options;
  const names = namesOf(registry, flavor);
  const path = options.path ?? loginPath(flavor, options);
  if (names.namespace !== '') {
    throw new TypeError(`[@reg/node] a helper is for all of a registry, not for ${shown(names.key)}`);
  }
  const change = (before: object) => {
    const config = withHelper(path, before, names, flavor, helper);
    const after = helperNames(path, config);
    const [key = names.key] = helperKeys(Object.keys(after), names.registry);
    return { config, work: async () => ({ path, key, before: helperNames(path, before), after }) };
  };
  return options.dryRun === true ? change(await configAt(path)).work() : editConfig(path, change);
}

/** Whether a config names `docker-credential-<helper>` for a registry. Rejects as `assignHelper` does. */
export async function helperIsNamed(
  registry: string,
  helper: string,
  options: Omit<AssignOptions, 'dryRun'> = {},
): Promise<boolean> {
  const { flavor = 'docker' } = options;
  const { registry: asked } = namesOf(registry, flavor);
  const path = options.path ?? loginPath(flavor, options);
  return helperIn(path, await configAt(path), asked, flavor)?.helper === helper;
}

/** Each helper that `credHelpers` names, by registry. */
function helperNames(path: string, config: object): Readonly<Record<string, string>> {
  const helpers = objectIn(path, config, 'credHelpers');
  return Object.fromEntries(
    Object.keys(helpers).map((key) => [key, textIn(path, helpers, key, ' of "credHelpers"')]),
  );
}

/** `config`, where `credHelpers` names `helper`, or with `null` the file itself, for a registry. */
export function withHelper(
  path: string,
  config: object,
  names: Names,
  flavor: Flavor,
  helper: string | null,
): object {
  const before = objectIn(path, config, 'credHelpers');
  const [key = names.key, ...others] = helperKeys(Object.keys(before), names.registry);
  // An empty name keeps `credsStore` out; Podman does not read that, and would look for a program without a name.
  const needsMark = flavor === 'docker' && Boolean(member(config, 'credsStore'));
  const value = helper ?? (needsMark ? '' : null);
  const kept = Object.entries({ ...before, [key]: value }).filter(
    ([name, named]) => named !== null && !others.includes(name),
  );
  if (kept.length === 0 && Object.keys(before).length === 0) return config;
  return { ...config, credHelpers: Object.fromEntries(kept) };
}

/** @throws TypeError */
export function checkHelper(name: string): void {
  if (!isHelperName(name)) {
    throw new TypeError('[@reg/node] a helper is named as in docker-credential-NAME, by NAME alone');
  }
}
