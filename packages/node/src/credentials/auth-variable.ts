/**
 * `DOCKER_AUTH_CONFIG`: a config in a variable.
 *
 * Rules of this file: one JSON value of the shape `{"auths":{"<host>":{"auth":"…"}}}` and nothing besides (requirement 112):
 * what is not known there is refused, so that a variable never names a program to run (CVE-2020-13347), and not shown, since it
 * may be a secret in the wrong place.
 */

import { isObject, member, objectIn, parseConfig, shown } from './config.ts';
import { entryIn } from './entries.ts';
import { CredentialsError } from './error.ts';
import { dockerKeys } from './registry.ts';
import type { Source } from './source.ts';

const name = 'DOCKER_AUTH_CONFIG';

export function authVariable(value: string): Source {
  return {
    name,
    async look(query, trail) {
      const config = parseConfig(name, value);
      if (config === null) {
        trail.note(name, 'empty', 'nothing in it');
        return null;
      }
      onlyMember(config, 'auths', 'has');
      const auths = objectIn(name, config, 'auths');
      for (const key of Object.keys(auths)) {
        const entry = member(auths, key);
        if (isObject(entry)) onlyMember(entry, 'auth', 'an entry has');
      }
      return entryIn(name, auths, dockerKeys(Object.keys(auths), query.registry), query.registry, trail);
    },
  };
}

function onlyMember(value: object, allowed: string, has: string): void {
  if (Object.keys(value).every((name) => name === allowed)) return;
  throw new CredentialsError(name, `${has} a member that is not ${shown(allowed)}`);
}
