/** The credentials of whoever runs this, from all the places where Docker and Podman users have them. */

import { type FileKeychainOptions, fileKeychain } from './docker.ts';
import { placesFor, sourceAt } from './order.ts';
import type { ExplainingKeychain } from './trail.ts';

export type DefaultKeychainOptions = FileKeychainOptions;

/**
 * Looks through, in this order: `path`, and then only that; the file in `REGISTRY_AUTH_FILE`, and then only that;
 * `DOCKER_AUTH_CONFIG`; `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; `$XDG_RUNTIME_DIR/containers/auth.json`, on
 * Linux `/run/containers/<uid>/auth.json` without that variable; `$XDG_CONFIG_HOME/containers/auth.json` or
 * `~/.config/containers/auth.json`; `~/.dockercfg`. The first that knows the registry answers; within a file the most specific
 * key does. Podman's files and `REGISTRY_AUTH_FILE` follow the flavor `containers`; `flavor` is that of `path`.
 *
 * `find` rejects as that of `dockerKeychain` does, for a source that comes before the answer.
 *
 * @throws TypeError as `dockerKeychain` does
 */
export function defaultKeychain(options: DefaultKeychainOptions = {}): ExplainingKeychain {
  return fileKeychain(options, (helpers) =>
    placesFor('default', options).map((place) => sourceAt(place, helpers)),
  );
}
