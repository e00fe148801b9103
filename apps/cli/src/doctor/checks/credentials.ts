/**
 * Checks of what this machine has for the registry.
 *
 * Rules of this file: pure decisions over facts. What is stored in plain text is no fault: most machines have nothing better; a
 * file that others may read is one.
 */

import { duration } from '../../report/duration.ts';
import { quote } from '../../report/shell.ts';
import type { About } from '../about.ts';
import { type Decision, type Fix, ok, run, skipped } from '../finding.ts';
import type { CredentialFacts, CredentialFault, Entries, View } from '../gather/credentials.ts';

/** `config.read` */
export function decideFiles(
  { from, trail, fault }: CredentialFacts,
  trust: Pick<CredentialFault, 'source' | 'message'> | null,
  about: About,
): Decision {
  if (trust !== null) {
    return unreadable(trust.source, trust.message, 'add again what is trusted: reg trust add');
  }
  if (from === 'given') return skipped('the credential is given on the command line');
  if (from === 'none') return skipped('no credential is wanted, as --anonymous says');
  const failed = trail.find(({ outcome, helper }) => outcome === 'failed' && helper === null);
  if (fault?.kind === 'file') {
    return unreadable(fault.source, fault.message, `sign in again: ${about.commands.login}`);
  }
  const exposed = trail.find(({ outcome }) => outcome === 'exposed');
  if (exposed !== undefined) {
    return {
      status: 'warning',
      summary: `${exposed.source}: ${exposed.why}`,
      cause: 'file-exposed',
      fix: run(`chmod 600 ${quote(exposed.source)}`, 'keep it to yourself'),
    };
  }
  // What comes after the answer counts for nothing, here.
  const broken = failed === undefined ? [] : [`${failed.source}: ${failed.why}`];
  const read = [
    ...new Set(
      trail.filter(({ outcome }) => outcome !== 'absent' && outcome !== 'failed').map(({ source }) => source),
    ),
  ];
  return ok(read.length === 0 ? 'no file or variable has credentials' : read.join(', '), ...broken);
}

/** @param then what a file that is moved away is made anew by */
function unreadable(source: string, message: string, then: string): Decision {
  const isVariable = !source.includes('/');
  return {
    status: 'problem',
    summary: message,
    cause: 'config-unreadable',
    fix: isVariable
      ? run(`unset ${source}`, `write into ${source} what belongs there, or take it away`)
      : run(`mv ${quote(source)} ${quote(`${source}.broken`)}`, `mend the file, or move it away and ${then}`),
  };
}

/** `creds.source` */
export function decideSource({ from, trail, first, found, fault }: CredentialFacts, about: About): Decision {
  if (fault?.kind === 'entry') {
    return {
      status: 'problem',
      summary: fault.message,
      cause: 'credential-unusable',
      fix: run(about.commands.login, 'sign in again, which writes the entry anew'),
    };
  }
  const evidence = trail.map(({ source, why }) => `${source}: ${why}`);
  if (from === 'none') return ok('nobody: a token is asked for anonymously');
  if (from === 'given' && found !== null) return ok(`${found.source} (${found.username})`);
  if (first === null)
    return ok(`nothing is stored for ${about.name}: a token is asked for anonymously`, ...evidence);
  if (first.helper !== null) return ok(`${first.helper}, named by ${first.source}`, ...evidence);
  if (found === null) return ok(first.source, ...evidence);
  const who = found.type === null ? 'nobody' : (found.username ?? `${found.type} token`);
  return ok(`${found.source} (${who})`, ...evidence);
}

/** `creds.helper` */
export function decideHelper({ first, fault, found, from }: CredentialFacts, about: About): Decision {
  if (fault !== null && fault.helper !== null) return helperProblem(fault);
  const helper = first?.helper ?? null;
  if (from !== 'stored' || helper === null) return skipped('no helper is asked');
  const has = found?.source.includes(helper) === true;
  return ok(has ? `${helper} answered` : `${helper} has nothing for ${about.name}`);
}

function helperProblem({ kind, helper, source, named, message }: CredentialFault): Decision {
  const program = helper ?? 'the helper';
  const place = named?.line == null ? source : `${source} (line ${named.line})`;
  const line =
    named === null ? null : `${named.setting}   # ${source}${named.line === null ? '' : `:${named.line}`}`;
  const away = `or take this line out of ${place}`;
  switch (kind) {
    case 'helper-missing':
      return {
        status: 'problem',
        summary: `${program} is not installed, and ${source} names it`,
        evidence: [message],
        cause: 'helper-missing',
        fix: {
          text: `install ${program} into a folder of PATH; ${away}, and sign in again`,
          command: null,
          line,
        },
      };
    case 'helper-hanging':
      return {
        status: 'problem',
        summary: `${program} ${message}`,
        evidence: [`named by ${place}`],
        cause: 'helper-hanging',
        fix: {
          text: `see what ${program} waits for (a keychain that is locked, a window that nobody sees); ${away}, and sign in again`,
          command: `timeout 10 ${quote(program)} list`,
          line,
        },
      };
    default:
      return {
        status: 'problem',
        summary: message,
        evidence: [`named by ${place}`],
        cause: 'helper-failing',
        fix: {
          text: `mend what ${program} says; ${away}, and sign in again`,
          command: `${quote(program)} list`,
          line,
        },
      };
  }
}

/** `creds.duplicates` */
export function decideEntries(
  { conflict, ambiguous }: Entries,
  { from, trail }: CredentialFacts,
  about: About,
): Decision {
  if (from === 'given') return skipped('the credential is given on the command line');
  const once = renewed(about);
  if (conflict !== null) {
    const { docker, podman } = conflict;
    return {
      status: 'problem',
      summary: 'Docker and Podman would send different credentials',
      evidence: [`Docker takes ${told(docker)}`, `Podman and Skopeo take ${told(podman)}`],
      cause: 'entries-conflict',
      fix: once,
    };
  }
  if (ambiguous !== null) {
    return {
      status: 'problem',
      summary: `${ambiguous.keys.length} entries for ${about.name}, and none of them comes first`,
      evidence: ambiguous.keys.map((key) => `${ambiguous.path}: ${JSON.stringify(key)}`),
      cause: 'entries-conflict',
      fix: once,
    };
  }
  const shadowed = trail.filter(({ outcome, helper }) => outcome === 'shadowed' && helper === null);
  const matched = trail.some(({ outcome }) => outcome === 'matched');
  if (!matched && shadowed.length < 2) return ok('no entry, or one');
  if (shadowed.length === 0) return ok('one entry');
  return ok(
    `${shadowed.length + 1} entries, of which Docker and Podman take the same`,
    ...shadowed.map(
      ({ source, key, why }) => `${source}${key === null ? '' : ` ${JSON.stringify(key)}`}: ${why}`,
    ),
  );
}

function told({ username, source }: View): string {
  return username === null ? source : `${source} (${username})`;
}

/** All entries away, and one that both tools read in their place. */
function renewed({ commands }: About): Fix {
  return run(`${commands.logout} && ${commands.login}`, 'keep one of them: forget all, and sign in once');
}

/** `creds.expiry` */
export function decideEnd({ found, end }: CredentialFacts, about: About, now: number): Decision {
  if (found === null || found.type === null) return skipped('there is no credential');
  if (end === null) return skipped('the credential does not say when it ends');
  const { at, kind } = end;
  const when = new Date(at).toISOString();
  if (at > now) return ok(`ends in ${duration(at - now)} (${when})`);
  const summary = `ended ${duration(now - at)} ago (${when})`;
  if (kind === 'ecr') {
    return {
      status: 'problem',
      summary: `the ECR password ${summary}`,
      cause: 'ecr-password-expired',
      fix: ecrLogin(about),
    };
  }
  return {
    status: 'problem',
    summary: `the token ${summary}`,
    cause: 'credential-expired',
    fix: run(about.commands.login, 'sign in again'),
  };
}

/** Its region stands in the name of the registry. */
function ecrLogin({ registry, commands }: About): Fix {
  const [, , , region = ''] = registry.hostname.split('.');
  const isEcr = registry.hostname.includes('.dkr.ecr') && /^[a-z0-9-]+$/.test(region);
  const login = commands.login.replace(' -u NAME --password-stdin < FILE', ' -u AWS --password-stdin');
  return run(
    `aws ecr get-login-password${isEcr ? ` --region ${region}` : ''} | ${login}`,
    'ECR passwords live 12 hours: get a new one, or let docker-credential-ecr-login do it',
  );
}
