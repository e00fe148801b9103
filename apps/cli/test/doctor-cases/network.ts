/** Set-ups in which TLS, a proxy or what stands before the registry is wrong. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { startDistribution } from '../../../../packages/testing/test/docker-registry.ts';
import { imageFolder } from './image.ts';
import { HOST, openRegistry, putImage, tokenRegistry } from './registries.ts';
import { change, type Prepare, runCommand } from './set-up.ts';

const list = ['list-tags', `docker://${HOST}/team/app`];
const names = ['registry.example'];

const unknownAuthority: Prepare = async (stage) => {
  const { authority } = await openRegistry(stage);
  stage.remove('.config/containers/certs.d');
  const given = stage.write('corp-ca.crt', authority.ca);
  return {
    skopeo: list,
    follow: (fix) => runCommand(stage, fix, { FILE: given }),
  };
};

const certificateExpired: Prepare = async (stage) => {
  const { front, authority } = await openRegistry(stage);
  front.present(authority.server({ names, until: Date.UTC(2026, 0, 31) }));
  return {
    skopeo: list,
    follow: (fix) => change(fix, /renew|new certificate/i, () => front.present(authority.server({ names }))),
  };
};

const certificateWrongHost: Prepare = async (stage) => {
  const { front, authority } = await openRegistry(stage);
  front.present(authority.server({ names: ['registry.internal.example', '*.apps.example'] }));
  return {
    skopeo: list,
    follow: (fix) =>
      change(fix, /^subjectAltName = DNS:(\S+)/m, ([, name = '']) =>
        front.present(authority.server({ names: [name] })),
      ),
  };
};

const registrySpeaksHttp: Prepare = async (stage) => {
  const registry = await startDistribution(null);
  await putImage(registry.url, 'team/app', undefined);
  stage.name(HOST, Number(new URL(registry.url).port));
  return {
    skopeo: list,
    async follow(fix) {
      await runCommand(stage, fix);
      const [, , ...args] = stage.documented(fix.command ?? '').split(' ');
      return args;
    },
  };
};

/** A proxy that wants to know who one is, in the environment of whoever never chose it. */
const proxyInTheWay: Prepare = async (stage) => {
  await openRegistry(stage);
  const server = createServer();
  server.on('connect', (_, socket) => {
    const head = [
      'HTTP/1.1 407 Proxy Authentication Required',
      'Proxy-Authenticate: Basic realm="corporate proxy"',
      'Content-Type: text/html',
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n<html><body>Sign in to browse.</body></html>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  stage.name('127.0.0.1:3128', port);
  stage.goThroughProxy(stage.real('http://127.0.0.1:3128'));
  return {
    skopeo: list,
    async follow({ command }) {
      const { stdout } = await stage.shell(`${command}; printf %s "$NO_PROXY"`);
      stage.env['NO_PROXY'] = stdout;
      stage.goStraight();
      return undefined;
    },
  };
};

/** The front does not say that it was asked over https, so that docker-registry writes http into what it answers. */
const uploadLocationDowngraded: Prepare = async (stage) => {
  const { front } = await openRegistry(stage);
  front.become({ forwarded: {} });
  return {
    skopeo: ['copy', `dir:${imageFolder(stage)}`, `docker://${HOST}/team/app:2`],
    follow: (fix) =>
      change(fix, /^proxy_set_header (\S+) \$scheme;$/m, ([, name = '']) =>
        front.become({ forwarded: { [name]: 'https' } }),
      ),
  };
};

/** Headers that let a page in, all but the one by which it can see the challenge. */
const corsHeaderMissing: Prepare = async (stage) => {
  const { front } = await tokenRegistry(stage);
  const cors = {
    'access-control-allow-origin': 'https://app.example',
    'access-control-allow-methods': 'GET, HEAD, OPTIONS',
    'access-control-allow-headers': 'Authorization, Accept',
    vary: 'Origin',
  };
  const become = (headers: Readonly<Record<string, string>>): void =>
    front.become({
      answer: ({ method }) => (method === 'OPTIONS' ? { status: 204, headers } : null),
      edit: (from) => ({ ...from, ...headers }),
    });
  become(cors);
  return {
    skopeo: ['list-tags', `docker://${HOST}/library/busybox`],
    follow: (fix) =>
      change(fix, /^(Access-Control-\S+): (.+)$/m, ([, name = '', value = '']) =>
        become({ ...cors, [name.toLowerCase()]: value }),
      ),
  };
};

export const network: Readonly<Record<string, Prepare>> = {
  'unknown-authority': unknownAuthority,
  'certificate-expired': certificateExpired,
  'certificate-wrong-host': certificateWrongHost,
  'registry-speaks-http': registrySpeaksHttp,
  'proxy-in-the-way': proxyInTheWay,
  'upload-location-downgraded': uploadLocationDowngraded,
  'cors-header-missing': corsHeaderMissing,
};
