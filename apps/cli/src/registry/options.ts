/**
 * The options of a command that talks to a registry, as they are parsed: as whom, and how to connect.
 *
 * Rules of this file: types alone. What the texts are worth is found by whoever uses them.
 */

import type { Color } from '../terminal/paint.ts';

/** What every command takes. */
export interface CommonOptions {
  readonly quiet?: boolean;
  /** How often `-v` was given. */
  readonly verbose?: number;
  readonly color?: Color;
  /** False with `--no-input`. */
  readonly input?: boolean;
}

/** Where credentials are kept. */
export interface FileOptions {
  readonly config?: string;
  readonly authfile?: string;
}

/** How to connect, and where a credential may go. */
export interface ConnectionOptions {
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
  readonly caFile?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly resolve?: readonly string[];
  readonly timeout?: string;
  readonly retries?: string;
  readonly trustRealm?: readonly string[];
}

/** A user name, and where its password is. */
export interface GivenOptions {
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
}

/** The options that every command has that talks to a registry. */
export interface NetworkOptions extends CommonOptions, FileOptions, ConnectionOptions, GivenOptions {
  readonly anonymous?: boolean;
  /** False with `--no-cache`. */
  readonly cache?: boolean;
}

/** What to ask for. */
export interface ScopeOptions {
  readonly push?: boolean;
  readonly scope?: readonly string[];
}
