/** Set-ups in which nothing is wrong: the doctor finds no problem, and `skopeo` does what is asked of it. */

import { describe, expect, test } from 'vitest';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { withHelper, workingHelper } from './doctor-cases/credentials.ts';
import { imageFolder } from './doctor-cases/image.ts';
import {
  auth,
  HOST,
  identityToken,
  openRegistry,
  password,
  passwordRegistry,
  putImage,
  signIn,
  tokenRegistry,
} from './doctor-cases/registries.ts';
import { type Stage, stage } from './doctor-cases/stage.ts';

interface Healthy {
  readonly title: string;
  readonly arguments: readonly string[];
  readonly skopeo: readonly string[];
  readonly prepare: (on: Stage) => Promise<unknown>;
}

const app = `${HOST}/team/app`;
const list = ['list-tags', `docker://${app}`];

const healthy: readonly Healthy[] = [
  {
    title: 'a registry that asks nobody who they are',
    arguments: [app],
    skopeo: list,
    prepare: openRegistry,
  },
  {
    title: 'a password over TLS, the authority in certs.d',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await passwordRegistry(on);
      signIn(on, password);
    },
  },
  {
    title: 'a password over TLS, the authority by --ca-file',
    arguments: [app, '--ca-file', '{home}/authority/ca.crt'],
    skopeo: [...list, '--cert-dir', '{home}/authority'],
    async prepare(on) {
      const { authority } = await passwordRegistry(on);
      on.remove('.config/containers/certs.d');
      on.write('authority/ca.crt', authority.ca);
      signIn(on, password);
    },
  },
  {
    title: 'a token for a password',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await tokenRegistry(on);
      signIn(on, password);
    },
  },
  {
    title: 'a token for an identity token',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await tokenRegistry(on);
      const entry = { auth: auth('<token>', ''), identitytoken: identityToken };
      on.write('.docker/config.json', { auths: { [HOST]: entry } });
    },
  },
  {
    title: 'a password that a helper keeps',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await passwordRegistry(on);
      workingHelper(on, 'vault');
      withHelper(on, 'vault');
    },
  },
  {
    title: 'a password for one namespace of the registry',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await passwordRegistry(on);
      on.write('run/containers/auth.json', {
        auths: { [`${HOST}/team`]: { auth: auth('alice', password) } },
      });
    },
  },
  {
    title: 'plain http on loopback',
    arguments: ['127.0.0.1:5000/team/app'],
    skopeo: ['list-tags', '--tls-verify=false', 'docker://127.0.0.1:5000/team/app'],
    async prepare(on) {
      const registry = await startDistribution(null);
      await putImage(registry.url, 'team/app', undefined);
      on.name('127.0.0.1:5000', Number(new URL(registry.url).port));
    },
  },
  {
    title: 'a proxy on the way that lets everything through',
    arguments: [app],
    skopeo: list,
    async prepare(on) {
      await passwordRegistry(on);
      signIn(on, password);
      on.goThroughProxy();
    },
  },
  {
    title: 'a public image without a credential',
    arguments: [`${HOST}/library/busybox`],
    skopeo: ['list-tags', `docker://${HOST}/library/busybox`],
    prepare: (on) => tokenRegistry(on),
  },
  {
    title: 'a push by who may',
    arguments: [app, '--push'],
    skopeo: ['copy', 'dir:{home}/image', `docker://${app}:2`],
    async prepare(on) {
      await tokenRegistry(on, { actions: ['pull', 'push'] });
      signIn(on, password);
      imageFolder(on);
    },
  },
];

const missing = isMissing('docker-registry', 'htpasswd', 'skopeo');

describe.skipIf(missing)('reg doctor finds no problem with', () => {
  test.each(healthy)('$title', async ({ arguments: args, skopeo, prepare }) => {
    const on = await stage();
    await prepare(on);
    const { stdout, stderr, code } = await on.reg(['doctor', ...args, '-o', 'json']);
    const { checks } = JSON.parse(stdout || '{}') as {
      readonly checks?: readonly { readonly status: string }[];
    };
    expect(
      checks?.filter(({ status }) => status === 'problem' || status === 'warning'),
      stderr,
    ).toEqual([]);
    expect(code).toBe(0);
    if (on.env['HTTPS_PROXY'] !== undefined) expect(on.proxied()).toContain(HOST);

    const other = await on.skopeo(skopeo);
    expect(other, other.stderr).toMatchObject({ code: 0 });
  });
});
