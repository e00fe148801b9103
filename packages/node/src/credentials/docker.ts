/** The credentials in one file, as Docker or Podman left them there. */

import type { Flavor } from './config-file.ts';
import { Helpers } from './helpers.ts';
import { filePlace, sourceAt } from './order.ts';
import { defaultPath, type SurroundingsOptions } from './places.ts';
import { saveCredential } from './save.ts';
import { keychainOver, type Source } from './source.ts';
import type { ExplainingKeychain } from './trail.ts';

export interface FileKeychainOptions extends SurroundingsOptions {
  /** The file to read. */
  readonly path?: string;
  /** Whose rules it follows. Default: `docker`. */
  readonly flavor?: Flavor;
  /**
   * What a helper that is missing, fails or hangs means for its registry: `fail` rejects, `anonymous` answers nobody. Default:
   * `fail`.
   */
  readonly onHelperError?: 'fail' | 'anonymous';
  /**
   * Helpers that count as not named by any config, `['own']` for `docker-credential-own`: what a program that is itself one must
   * not ask, or it would ask itself. Where one is named, what stands beside it in that file counts.
   */
  readonly withoutHelpers?: readonly string[];
}

const flavors: readonly string[] = ['docker', 'containers'] satisfies Flavor[];

export type DockerKeychainOptions = FileKeychainOptions;

/**
 * Reads one file, anew each time a credential is asked for. Default: Docker's, `$DOCKER_CONFIG/config.json` or
 * `~/.docker/config.json`; with the flavor `containers` the one that `podman login` writes.
 *
 * Entries may hold `auth`, `username` and `password`, `identitytoken` or `registrytoken`; a helper of `credHelpers` or
 * `credsStore` is run (requirements 105 to 111, 121 to 129).
 *
 * An identity token that its token server replaced is written back, with `saveCredential`, unless another login is there by
 * then: `replaced` rejects as that does.
 *
 * `find` rejects with `CredentialsError` when the file, the matching entry or its helper cannot be used, and with a `TypeError`
 * when it is not asked by origin.
 *
 * @throws TypeError for an option that means nothing: an empty `path`, another `flavor` or `onHelperError`
 */
export function dockerKeychain(options: DockerKeychainOptions = {}): ExplainingKeychain {
  const { path, flavor = 'docker' } = options;
  return fileKeychain(options, (helpers) =>
    filePlace(() => path ?? defaultPath(flavor, options), flavor).map((place) => sourceAt(place, helpers)),
  );
}

/** A keychain over files, each of which gets back the identity tokens that replaced its own. */
export function fileKeychain(
  { path, flavor = 'docker', env = process.env, onHelperError = 'fail', withoutHelpers }: FileKeychainOptions,
  sources: (helpers: Helpers) => readonly Source[],
): ExplainingKeychain {
  // Taken for something else, each of them would ask for tokens anonymously, or with another credential.
  if (path !== undefined && (typeof path !== 'string' || path === '')) refuse('path is the file to read');
  if (!flavors.includes(flavor)) refuse("flavor is 'docker' or 'containers'");
  if (onHelperError !== 'fail' && onHelperError !== 'anonymous')
    refuse("onHelperError is 'fail' or 'anonymous'");
  const helpers = new Helpers({ env, onError: onHelperError, without: withoutHelpers });
  return keychainOver(
    () => sources(helpers),
    async ({ registry, path, flavor }, replacement) => {
      const without = withoutHelpers === undefined ? {} : { withoutHelpers };
      await saveCredential(registry, replacement, { path, flavor, env, ...without });
      helpers.forget();
    },
  );
}

function refuse(rule: string): never {
  throw new TypeError(`[@reg/node] ${rule}`);
}
