/**
 * What whoever runs the process should hear of, though nothing fails for it.
 *
 * Rules of this file: each thing is said once for each file, since a service would fill its log; no message has a secret.
 */

import { toVisible } from '@reg/core';

/**
 * - `REG_CREDENTIALS_EXPOSED`: others than its owner may read or write a config.
 * - `REG_CREDENTIAL_NOT_KEPT`: an identity token was replaced, and the new one could not be written.
 */
type Code = 'REG_CREDENTIALS_EXPOSED' | 'REG_CREDENTIAL_NOT_KEPT';

const said = new Set<string>();

/** More files than a process has reasons to read. */
const most = 1_000;

/** Emits a warning of the process with the type `RegWarning`, the first time for `code` and `path`. */
export function warnOnce(code: Code, path: string, message: string): void {
  const key = `${code} ${path}`;
  if (said.has(key) || said.size >= most) return;
  said.add(key);
  process.emitWarning(toVisible(message), { type: 'RegWarning', code });
}
