/**
 * What a credential source that cannot be used is reported as.
 *
 * Rules of this file: a message names a path, a key, a program and the kind of fault, never a slice of a file's text and never
 * what a program wrote where credentials are written (CVE-2020-8564).
 */

/** A file, an entry in it, an environment variable or a helper that cannot be used. Its message shows no secret. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
  readonly code = 'ERR_REG_CREDENTIALS';
  /** The file, the variable or the program at fault. */
  readonly path: string;
  /** The message without the path. */
  readonly fault: string;

  constructor(path: string, fault: string) {
    super(`${path}: ${fault}`);
    this.path = path;
    this.fault = fault;
  }
}
