/**
 * What is looked at, and the commands that fixes are made of.
 *
 * Rules of this file: whatever a command is made of is quoted where a shell would read it.
 */

import { toVisible } from '@reg/core';
import { type AnyTarget, againFor, registryIn } from '../registry/argument.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { quote } from '../report/shell.ts';

/** Facts of the command line. */
export interface About {
  /** As it is written in a command: an image, a repository or a registry. */
  readonly shown: string;
  readonly registry: URL;
  /** How files and people name the registry: `host` or `host:port`. */
  readonly name: string;
  readonly repository: string | null;
  /** A tag or digest, or `null` for a whole repository. */
  readonly image: string | null;
  readonly push: boolean;
  /** `--insecure`. */
  readonly insecure: boolean;
  readonly commands: Commands;
}

/** Commands that can be run as they stand, but for NAME and FILE. */
export interface Commands {
  /** This one again. */
  readonly doctor: string;
  /** This one again, with `--ca-file FILE`. */
  readonly otherAuthority: string;
  /** This one again, over plain http. */
  readonly plainHttp: string;
  /** This one again, over https. */
  readonly https: string;
  readonly login: string;
  readonly logout: string;
  readonly trace: string;
  readonly tracePush: string;
  trust(realm: string): string;
  /** This one again, about the registry under another name. */
  renamed(host: string): string;
}

/** The options that say what is looked at. */
export interface AboutOptions extends NetworkOptions {
  readonly push?: boolean;
  readonly browser?: string;
}

export function aboutOf(target: AnyTarget, options: AboutOptions): About {
  const { url, registry: name, shown, reference } = target;
  const flags = [
    ...(options.push === true ? ['--push'] : []),
    ...(options.browser === undefined ? [] : ['--browser', options.browser]),
  ];
  const again = againFor('doctor', target, options, flags);
  const files = [
    ...(options.config === undefined ? [] : ['--config', options.config]),
    ...(options.authfile === undefined ? [] : ['--authfile', options.authfile]),
  ];
  // On this machine http is what is spoken to a name alone, and a reference has no scheme to say otherwise.
  const overTls = registryIn({ url: new URL(`https://${url.host}`), registry: name }, {});
  const { repository = null, tag = null, digest = null } = reference ?? {};
  return {
    shown,
    registry: new URL(url.origin),
    name,
    repository,
    image: digest ?? tag,
    push: options.push === true,
    insecure: options.insecure === true,
    commands: {
      doctor: again.command,
      otherAuthority: againFor('doctor', target, { ...options, caFile: 'FILE' }, flags).command,
      plainHttp: again.plainHttp,
      https: againFor(
        'doctor',
        { ...target, shown: overTls === name && !shown.startsWith('http') ? shown : overTls },
        { ...options, plainHttp: false },
        flags,
      ).command,
      login: `${again.login} -u NAME --password-stdin < FILE`,
      logout: line('reg', 'logout', name, ...files),
      trace: again.trace,
      tracePush: againFor('trace', target, options, ['--push']).command,
      trust: (realm) => line('reg', 'trust', 'add', registryIn(target, {}), realm),
      renamed(host) {
        const other = shown.replace(url.hostname, () => host);
        return againFor('doctor', { ...target, shown: other }, options, flags).command;
      },
    },
  };
}

function line(...words: readonly string[]): string {
  return words.map((word) => quote(toVisible(word))).join(' ');
}
