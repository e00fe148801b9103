/** Set-ups in which a challenge sends its reader to the wrong place, or is nothing to go by. */

import { createServer } from 'node:net';
import { startFront } from './front.ts';
import {
  frontFor,
  HOST,
  password,
  passwordRegistry,
  signIn,
  tokenRegistry,
  tokensBehind,
} from './registries.ts';
import { change, type Prepare, runCommand } from './set-up.ts';

const list = ['list-tags', `docker://${HOST}/team/app`];

/** The token server is served over http as well, by a port of its own, and that is the one that is named. */
const realmPlainHttp: Prepare = async (stage) => {
  const plain = await startFront(null);
  stage.name('registry.example:5080', plain.port);
  const { front, tokens } = await tokenRegistry(stage, { realm: 'http://registry.example:5080/token' });
  plain.become({ upstream: () => new URL(tokens.url).origin });
  signIn(stage, password);
  return {
    skopeo: list,
    // Its own https port has the token server as well.
    follow: (fix) => change(fix, /^auth\.token\.realm: https:/m, () => tokensBehind(stage, front)),
  };
};

const ELSEWHERE = 'auth.elsewhere.example:5001';

const realmUntrusted: Prepare = async (stage) => {
  const elsewhere = await frontFor(stage, ELSEWHERE);
  const { tokens } = await tokenRegistry(stage, {
    realm: `https://${ELSEWHERE}/token`,
    authority: elsewhere.authority,
  });
  elsewhere.front.become({ upstream: () => new URL(tokens.url).origin });
  signIn(stage, password);
  return { skopeo: list, follow: (fix) => runCommand(stage, fix) };
};

/** The token server of a registry on the developer's own machine is not running. */
const realmUnreachable: Prepare = async (stage) => {
  const registry = '127.0.0.1:5000';
  const tokenServer = '127.0.0.1:5001';
  const front = await startFront(null);
  stage.name(registry, front.port);
  stage.name(tokenServer, await freePort());
  await tokensBehind(stage, front, { realm: `http://${tokenServer}/token` });
  signIn(stage, password, registry);
  return {
    skopeo: ['list-tags', '--tls-verify=false', `docker://${registry}/team/app`],
    follow: (fix) =>
      change(fix, /token server/, async () => {
        await startFront(null, {
          port: stage.portOf(tokenServer),
          upstream: () => stage.real(`http://${registry}`),
        });
      }),
  };
};

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was assigned');
  return address.port;
}

/** The proxy before the registry drops what it does not know. */
const challengeMissing: Prepare = async (stage) => {
  const { front } = await passwordRegistry(stage);
  signIn(stage, password);
  front.become({ edit: ({ 'www-authenticate': _, ...others }) => others });
  return {
    skopeo: list,
    follow: (fix) => change(fix, /WWW-Authenticate/i, () => front.become({ edit: (headers) => headers })),
  };
};

const challengeMalformed: Prepare = async (stage) => {
  const { front } = await tokenRegistry(stage);
  signIn(stage, password);
  front.become({
    edit: (headers) => {
      if (headers['www-authenticate'] === undefined) return headers;
      return { ...headers, 'www-authenticate': stage.real(`Bearer realm="https://${HOST}/token`) };
    },
  });
  return {
    skopeo: list,
    follow: (fix) => change(fix, /realm=/, () => front.become({ edit: (headers) => headers })),
  };
};

/** Two servers behind one name: one of them does not know of tokens. */
const basicAfterBearer: Prepare = async (stage) => {
  const elsewhere = await frontFor(stage, ELSEWHERE);
  const { front, tokens } = await tokenRegistry(stage, {
    realm: `https://${ELSEWHERE}/token`,
    authority: elsewhere.authority,
  });
  elsewhere.front.become({ upstream: () => new URL(tokens.url).origin });
  signIn(stage, password);
  front.become({
    answer: ({ headers }) =>
      headers.authorization === undefined
        ? null
        : { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="registry"' } },
  });
  return {
    skopeo: list,
    follow: (fix) => change(fix, /Basic/, () => front.become({ answer: () => null })),
  };
};

export const realms: Readonly<Record<string, Prepare>> = {
  'realm-plain-http': realmPlainHttp,
  'realm-untrusted': realmUntrusted,
  'realm-unreachable': realmUnreachable,
  'challenge-missing': challengeMissing,
  'challenge-malformed': challengeMalformed,
  'basic-after-bearer': basicAfterBearer,
};
