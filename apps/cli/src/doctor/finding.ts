/**
 * What the doctor found: one finding for each check, and what all of them come to.
 *
 * Rules of this file: the ids are stable, scripts and documents name them; each cause has one exit code, which is about what to do
 * next. A cause without a code does not compile.
 */

import { type ExitCode, exitCode } from '../report/exit-code.ts';

/** The checks, in the order in which they are made and shown. */
export const checkIds = [
  'config.read',
  'creds.source',
  'creds.helper',
  'creds.duplicates',
  'creds.expiry',
  'proxy.route',
  'dns.resolve',
  'tcp.connect',
  'tls.chain',
  'v2.ping',
  'challenge.parse',
  'challenge.realm',
  'realm.reach',
  'creds.accepted',
  'clock.skew',
  'scope.grant',
  'repository.access',
  'rate.limit',
  'upload.location',
  'cors.headers',
] as const;

export type CheckId = (typeof checkIds)[number];

/** Why something does not work, or soon will not, with the exit code of a run that finds it first. */
const codes = {
  'config-unreadable': exitCode.credentials,
  'helper-missing': exitCode.credentials,
  'helper-failing': exitCode.credentials,
  'helper-hanging': exitCode.credentials,
  'entries-conflict': exitCode.credentials,
  'credential-unusable': exitCode.credentials,
  'file-exposed': exitCode.credentials,
  'ecr-password-expired': exitCode.unauthenticated,
  'credential-expired': exitCode.unauthenticated,
  'no-credential': exitCode.unauthenticated,
  'wrong-password': exitCode.unauthenticated,
  'expired-password-breaks-public-pull': exitCode.unauthenticated,
  'realm-untrusted': exitCode.unauthenticated,
  'insecure-transport': exitCode.unauthenticated,
  'token-lacks-push': exitCode.denied,
  'repository-missing-or-denied': exitCode.denied,
  'image-missing': exitCode.notFound,
  'proxy-in-the-way': exitCode.unreachable,
  'proxy-unusable': exitCode.unreachable,
  'dns-failed': exitCode.unreachable,
  'connection-refused': exitCode.unreachable,
  'connection-timeout': exitCode.unreachable,
  'connection-broken': exitCode.unreachable,
  'registry-speaks-http': exitCode.unreachable,
  'registry-speaks-https': exitCode.unreachable,
  'tls-version-too-old': exitCode.unreachable,
  'unknown-authority': exitCode.unreachable,
  'certificate-expired': exitCode.unreachable,
  'certificate-not-yet-valid': exitCode.unreachable,
  'certificate-wrong-host': exitCode.unreachable,
  'certificate-refused': exitCode.unreachable,
  'certificate-ends-soon': exitCode.unreachable,
  'certificate-unchecked': exitCode.unreachable,
  'certs-unusable': exitCode.unreachable,
  'client-certificate-wanted': exitCode.unreachable,
  'registry-error': exitCode.unreachable,
  'realm-unreachable': exitCode.unreachable,
  'token-server-error': exitCode.unreachable,
  'rate-limited': exitCode.rateLimited,
  'not-a-registry': exitCode.protocol,
  'ping-forbidden': exitCode.denied,
  'challenge-missing': exitCode.protocol,
  'challenge-malformed': exitCode.protocol,
  'challenge-unsupported': exitCode.unauthenticated,
  'realm-plain-http': exitCode.protocol,
  'realm-forbidden': exitCode.protocol,
  'basic-after-bearer': exitCode.protocol,
  'token-unusable': exitCode.protocol,
  'token-not-accepted': exitCode.protocol,
  'redirect-refused': exitCode.protocol,
  'clock-skew': exitCode.protocol,
  'upload-location-downgraded': exitCode.protocol,
  'upload-refused': exitCode.protocol,
  'upload-location-missing': exitCode.protocol,
  'cors-header-missing': exitCode.protocol,
  'cors-header-repeated': exitCode.protocol,
  'cors-preflight-refused': exitCode.protocol,
} as const satisfies Readonly<Record<string, ExitCode>>;

export type CauseId = keyof typeof codes;

/** What to do about it: words, and a command that can be run or a line to write into a file, perhaps both. */
export interface Fix {
  readonly text: string;
  /** It can be run as it stands, but for NAME and FILE. */
  readonly command: string | null;
  /** As it is written, with the file it belongs in behind a `#`, or the place it is at before it. */
  readonly line: string | null;
}

/** What one check came to. */
export interface Finding {
  readonly id: CheckId;
  /** `skipped`: it does not apply here, or a check that it needs failed. */
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  /** One line. */
  readonly summary: string;
  /** What was seen, a line each. */
  readonly evidence: readonly string[];
  /** Of every problem, and of a warning that could become one. */
  readonly cause: CauseId | null;
  readonly fix: Fix | null;
}

/** What all checks came to. */
export interface Diagnosis {
  /** What was asked about, in full. */
  readonly about: string;
  /** Its origin. */
  readonly registry: string;
  readonly repository: string | null;
  readonly checks: readonly Finding[];
  readonly problems: number;
  readonly warnings: number;
  readonly exitCode: ExitCode;
}

/** What a check decides. A `skipped` one that `blocks` could not be decided, and nor can what needs it. */
export type Decision =
  | { readonly status: 'ok'; readonly summary: string; readonly evidence?: readonly string[] }
  | { readonly status: 'skipped'; readonly summary: string; readonly blocks?: true }
  | {
      readonly status: 'warning' | 'problem';
      readonly summary: string;
      readonly evidence?: readonly string[];
      readonly cause: CauseId;
      readonly fix: Fix;
    };

/** A decision that something is wrong. */
export type Fault = Extract<Decision, { readonly cause: CauseId }>;

/** What `findings` come to. */
export function diagnosisOf(
  about: Pick<Diagnosis, 'about' | 'registry' | 'repository'>,
  findings: readonly Finding[],
): Diagnosis {
  const problems = findings.filter(({ status }) => status === 'problem');
  const first = problems[0]?.cause ?? null;
  return {
    about: about.about,
    registry: about.registry,
    repository: about.repository,
    checks: findings,
    problems: problems.length,
    warnings: findings.filter(({ status }) => status === 'warning').length,
    exitCode: first === null ? exitCode.ok : codes[first],
  };
}

export function ok(summary: string, ...evidence: readonly string[]): Decision {
  return { status: 'ok', summary, evidence };
}

/** It does not apply. */
export function skipped(summary: string): Decision {
  return { status: 'skipped', summary };
}

/** It cannot be said, and nor can what follows from it. */
export function unknown(summary: string): Decision {
  return { status: 'skipped', summary, blocks: true };
}

/** A fix by a command. */
export function run(command: string, text: string): Fix {
  return { text, command, line: null };
}

/** A fix by a line in a file. */
export function write(line: string, text: string): Fix {
  return { text, command: null, line };
}
