/** `reg help exit-codes` */

import { type ExitCode, exitCode } from '../report/exit-code.ts';
import { rows } from './page.ts';

const meanings = {
  [exitCode.ok]: 'done',
  [exitCode.unexpected]: 'unexpected: a fault of this program, or an answer that nothing else fits',
  [exitCode.usage]: 'usage: a flag, an argument, a missing input',
  [exitCode.notFound]: 'not found',
  [exitCode.unauthenticated]:
    'not authenticated: no credential, a refused one, or one that may not be sent there',
  [exitCode.denied]: 'denied: the credential is good and not enough',
  [exitCode.unreachable]: 'unreachable: name, network, TLS, a time limit, or a server that is down',
  [exitCode.rateLimited]: 'rate limited',
  [exitCode.credentials]: 'credential file or helper, or what it gave',
  [exitCode.protocol]: 'the registry or its token server does not keep to the protocol',
} as const satisfies Record<ExitCode, string>;

export const exitCodesPage = `\
What the exit code of reg says

${rows([...Object.entries(meanings), ['130, 143', 'interrupted, terminated']], '130, 143'.length)}

doctor and status --check end with the code of what they found. credential get,
store, erase and list end with 0 or 1, as Docker expects of a credential helper.
With -o json or ndjson what went wrong is JSON too, on stderr.

Example:
  reg ping ghcr.io || echo "reg ended with $?"
`;
