/** Set-ups in which a stored credential, a helper or a file is wrong. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, canary } from '@reg/testing';
import { expect } from 'vitest';
import { auth, HOST, openRegistry, password, passwordRegistry, signIn, tokenRegistry } from './registries.ts';
import { change, type Prepare, runCommand } from './set-up.ts';
import type { Stage } from './stage.ts';

const list = ['list-tags', `docker://${HOST}/team/app`];

/** The password that is right, in a file for `< FILE`. */
const passwordFile = (stage: Stage): string => stage.write('password.txt', `${password}\n`);

const wrongPassword: Prepare = async (stage) => {
  await passwordRegistry(stage);
  signIn(stage, canary('wrong password'));
  return {
    skopeo: list,
    follow: (fix) => runCommand(stage, fix, { NAME: 'alice', FILE: passwordFile(stage) }),
  };
};

const expiredPasswordBreaksPublicPull: Prepare = async (stage) => {
  const { tokens } = await tokenRegistry(stage);
  const expired = canary('expired password');
  allow(expired, tokens.url);
  signIn(stage, expired);
  return {
    skopeo: ['list-tags', `docker://${HOST}/library/busybox`],
    follow: (fix) => runCommand(stage, fix, { NAME: 'alice', FILE: passwordFile(stage) }),
  };
};

/** Docker's configuration, which leaves the registry's credential to `docker-credential-<name>`. */
export function withHelper(stage: Stage, name: string): void {
  stage.write('.docker/config.json', { credHelpers: { [HOST]: name } });
}

/** A helper that knows `alice`. */
export function workingHelper(stage: Stage, name: string): void {
  const answer = JSON.stringify({ ServerURL: stage.real(HOST), Username: 'alice', Secret: password });
  stage.program(`docker-credential-${name}`, `cat > /dev/null\necho '${answer}'`);
}

const helperMissing: Prepare = async (stage) => {
  await passwordRegistry(stage);
  withHelper(stage, 'vault');
  return {
    skopeo: list,
    follow: (fix) => change(fix, /docker-credential-vault/, () => workingHelper(stage, 'vault')),
  };
};

const helperFailing: Prepare = async (stage) => {
  await passwordRegistry(stage);
  withHelper(stage, 'vault');
  stage.program('docker-credential-vault', 'cat > /dev/null\necho "the vault is sealed" >&2\nexit 1');
  return {
    skopeo: list,
    follow: (fix) => change(fix, /docker-credential-vault/, () => workingHelper(stage, 'vault')),
  };
};

const helperHanging: Prepare = async (stage) => {
  await passwordRegistry(stage);
  withHelper(stage, 'vault');
  stage.program('docker-credential-vault', 'exec sleep 60');
  return {
    skopeo: list,
    follow: (fix) =>
      change(fix, /"vault" {3}# \S*\.docker\/config\.json:(\d+)$/m, async ([, number]) => {
        const file = join(stage.home, '.docker/config.json');
        const lines = readFileSync(file, 'utf8').split('\n');
        writeFileSync(file, lines.toSpliced(Number(number) - 1, 1).join('\n'));
        const signingIn = `reg login ${stage.real(HOST)} -u alice --password-stdin < ${passwordFile(stage)}`;
        expect(await stage.shell(signingIn)).toMatchObject({ code: 0 });
      }),
  };
};

/** Docker's file has a password that is no longer right, Podman's the one that is. */
const entriesConflict: Prepare = async (stage) => {
  await passwordRegistry(stage);
  signIn(stage, canary('former password'));
  stage.write('run/containers/auth.json', { auths: { [HOST]: { auth: auth('alice', password) } } });
  return {
    skopeo: list,
    follow: (fix) => runCommand(stage, fix, { NAME: 'alice', FILE: passwordFile(stage) }),
  };
};

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000';

/** What `aws ecr get-login-password` prints: JSON in base64, with the second at which it ends. */
function ecrPassword(expiration: number): string {
  const fields = { payload: canary('ECR password'), version: '2', type: 'DATA_KEY', expiration };
  return Buffer.from(JSON.stringify(fields)).toString('base64');
}

const ecrPasswordExpired: Prepare = async (stage) => {
  const { front } = await openRegistry(stage, ECR);
  const now = Math.floor(Date.now() / 1_000);
  const expired = ecrPassword(now - 3_600);
  const fresh = ecrPassword(now + 12 * 3_600);
  stage.write('.docker/config.json', { auths: { [ECR]: { auth: auth('AWS', expired) } } });
  stage.program('aws', `echo '${fresh}'`);
  front.become({
    answer({ headers }) {
      switch (headers.authorization) {
        case `Basic ${auth('AWS', fresh)}`:
          return null;
        case undefined: {
          const challenge = `Basic realm="https://${ECR}/",service="ecr.amazonaws.com"`;
          return { status: 401, headers: { 'WWW-Authenticate': challenge }, body: 'Not Authorized' };
        }
        default: {
          const message = 'Your authorization token has expired. Reauthenticate and try again.';
          return { status: 403, body: JSON.stringify({ errors: [{ code: 'DENIED', message }] }) };
        }
      }
    },
  });
  return {
    skopeo: ['list-tags', `docker://${ECR}/team/app`],
    follow: (fix) => runCommand(stage, fix),
  };
};

export const credentials: Readonly<Record<string, Prepare>> = {
  'wrong-password': wrongPassword,
  'expired-password-breaks-public-pull': expiredPasswordBreaksPublicPull,
  'helper-missing': helperMissing,
  'helper-failing': helperFailing,
  'helper-hanging': helperHanging,
  'entries-conflict': entriesConflict,
  'ecr-password-expired': ecrPasswordExpired,
};
