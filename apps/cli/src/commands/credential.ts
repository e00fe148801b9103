/** `reg credential` */

import type { CommonOptions, FileOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';

export interface CredentialOptions extends FileOptions, CommonOptions {}

export interface CredentialInstallOptions extends FileOptions, CommonOptions {
  readonly as: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export async function credential(
  _action: 'get' | 'store' | 'erase' | 'list',
  _options: CredentialOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}

export async function installCredentialHelper(
  _registry: string,
  _options: CredentialInstallOptions,
  _surroundings: Surroundings,
): Promise<ExitCode | undefined> {
  throw usage('not built yet');
}
