/** The credentials of whoever runs this, from all the places where Docker and Podman users have them. */

import { authVariable } from './auth-variable.ts';
import { configFile, configFileAt } from './config-file.ts';
import { type FileKeychainOptions, fileKeychain } from './docker.ts';
import type { Helpers } from './helpers.ts';
import { containersPaths, dockerPath, flatPath, namedPath, surroundings } from './places.ts';
import type { Source } from './source.ts';
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
  return fileKeychain(options, (helpers) => sourcesOf(options, helpers));
}

function sourcesOf(options: DefaultKeychainOptions, helpers: Helpers): readonly Source[] {
  const { path, flavor = 'docker' } = options;
  if (path !== undefined) return [configFile(path, flavor, helpers)];
  const around = surroundings(options);
  const named = configFileAt(() => namedPath(around), 'containers', helpers);
  if (named.length > 0) return named;
  const sources: Source[] = [];
  const variable = around.env['DOCKER_AUTH_CONFIG'];
  if (variable) sources.push(authVariable(variable));
  sources.push(...configFileAt(() => dockerPath(around), 'docker', helpers));
  for (const auth of containersPaths(around)) sources.push(configFile(auth, 'containers', helpers));
  const flat = flatPath(around);
  if (flat !== null) sources.push(configFile(flat, 'flat', helpers));
  return sources;
}
