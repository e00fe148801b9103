/**
 * The checks, in their order: what each needs, what it looks at, and who decides.
 *
 * Rules of this file: a table. A check comes after those it needs; deciding is in `checks/`, looking in `gather/`.
 */

import {
  decideAccess,
  decideClock,
  decideGrant,
  decideLimit,
  decideUpload,
  skewsIn,
} from './checks/access.ts';
import { decideCors } from './checks/cors.ts';
import { decideEnd, decideEntries, decideFiles, decideHelper, decideSource } from './checks/credentials.ts';
import {
  decideAcceptance,
  decideChallenge,
  decidePing,
  decideReach,
  decideRealm,
  speaksTls,
} from './checks/handshake.ts';
import { decideConnection, decideLookup, decideRoute, decideTls } from './checks/network.ts';
import { type CheckId, type Decision, skipped, unknown } from './finding.ts';
import type { Check } from './run.ts';
import type { Scene } from './scene.ts';

/** What looks at this machine only. */
const here: readonly Check<Scene>[] = [
  {
    id: 'config.read',
    needs: [],
    look: async (scene) => decideFiles(await scene.credential(), await scene.trustFault.get(), scene.about),
  },
  {
    id: 'creds.source',
    needs: ['config.read'],
    look: async (scene) => decideSource(await scene.credential(), scene.about),
  },
  {
    id: 'creds.helper',
    needs: ['creds.source'],
    look: async (scene) => decideHelper(await scene.credential(), scene.about),
  },
  {
    id: 'creds.duplicates',
    needs: ['creds.helper'],
    look: async (scene) => decideEntries(await scene.entries.get(), await scene.credential(), scene.about),
  },
  {
    id: 'creds.expiry',
    needs: ['creds.helper'],
    look: async (scene) => decideEnd(await scene.credential(), scene.about, scene.now),
  },
  { id: 'proxy.route', needs: [], look: async (scene) => decideRoute(await scene.route()) },
];

const there: readonly Check<Scene>[] = [
  {
    id: 'dns.resolve',
    needs: ['proxy.route'],
    look: async (scene) => decideLookup(await scene.lookup.get(), await scene.route(), scene.about),
  },
  {
    id: 'tcp.connect',
    needs: ['dns.resolve'],
    look: async (scene) => decideConnection(await scene.connection.get(), await scene.route(), scene.about),
  },
  {
    id: 'tls.chain',
    needs: ['tcp.connect'],
    look: async (scene) =>
      scene.about.registry.protocol === 'http:'
        ? skipped('plain http')
        : decideTls(await scene.tls.get(), scene.about, scene.now),
  },
  {
    id: 'v2.ping',
    needs: ['tls.chain'],
    async look(scene) {
      if ((await scene.trustFault.get()) !== null) return unknown('not looked at: it needs config.read');
      const decision = decidePing(await scene.ping.get(), await scene.route(), scene.about);
      const isPlain = scene.about.registry.protocol === 'http:';
      const isTls = decision.status === 'problem' && isPlain && (await scene.speaksTls.get());
      return isTls ? speaksTls(decision, scene.about) : decision;
    },
  },
  {
    id: 'challenge.parse',
    needs: ['v2.ping'],
    look: async (scene) => decideChallenge(await scene.challenged.get(), scene.about),
  },
  {
    id: 'challenge.realm',
    needs: ['challenge.parse'],
    look: async (scene) => decideRealm(await scene.challenged.get(), await scene.isSomebody(), scene.about),
  },
  {
    id: 'realm.reach',
    needs: ['challenge.realm'],
    look: async (scene) =>
      decideReach(await scene.challenged.get(), await scene.realmTls.get(), scene.about, scene.now),
  },
  {
    id: 'creds.accepted',
    needs: ['realm.reach', 'creds.helper', 'creds.expiry'],
    async look(scene) {
      const ping = await scene.ping.get();
      const credential = await scene.isSomebody();
      // A registry that shows its /v2/ to everyone asks for a login where there is something to see.
      const pull = ping.identified || ping.failure !== null ? null : await scene.pull.get();
      const isRefused = [ping, pull].some(
        (one) => one?.failure?.kind === 'credential-rejected' || one?.failure?.kind === 'token-refused',
      );
      const anonymous = credential && isRefused ? await scene.anonymousPull.get() : null;
      const { from } = await scene.credential();
      return decideAcceptance({ ping, pull, anonymous, from, credential }, scene.about);
    },
  },
  { id: 'clock.skew', needs: ['v2.ping'], look: lookAtClocks },
  {
    id: 'scope.grant',
    needs: ['creds.accepted', 'clock.skew'],
    look: lookAtGrant,
  },
  {
    id: 'repository.access',
    needs: ['creds.accepted'],
    async look(scene) {
      const [ping, token] = [await scene.ping.get(), scene.about.push ? await lookAtGrant(scene) : null];
      const pull = await scene.pull.get();
      const clocks = await lookAtClocks(scene);
      const canPush = token !== null && (token.status === 'ok' || token.status === 'skipped');
      return decideAccess({ ping, pull, clockIsOff: clocks.status === 'problem', canPush }, scene.about);
    },
  },
  {
    id: 'rate.limit',
    needs: ['v2.ping'],
    look: async (scene) => decideLimit(await scene.answered(), scene.about),
  },
];

const upload: Check<Scene> = {
  id: 'upload.location',
  needs: ['scope.grant', 'repository.access'],
  async look(scene) {
    const facts = await scene.upload.get();
    return facts === null ? skipped('a whole registry is not pushed to') : decideUpload(facts, scene.about);
  },
};

const cors: Check<Scene> = {
  id: 'cors.headers',
  needs: ['v2.ping'],
  async look(scene) {
    const { page, about } = scene;
    return page === null ? skipped('no page is named') : decideCors(await scene.cors(page), about.name);
  },
};

async function lookAtGrant(scene: Scene): Promise<Decision> {
  // For a push its token comes first: it serves the pull too.
  const token = await scene.token.get();
  const pull = await scene.pull.get();
  const status = pull?.head?.status ?? 0;
  const came = { may: status >= 200 && status < 300, identified: pull?.identified ?? false };
  return decideGrant(token, came, scene.about);
}

async function lookAtClocks(scene: Scene): Promise<Decision> {
  const answered = await scene.answered();
  return decideClock(skewsIn(answered, await scene.pingToken.get()), answered);
}

/** What is to be looked at. */
export interface Extent {
  readonly offline: boolean;
  readonly push: boolean;
  readonly page: boolean;
}

/** The checks of `extent`, in order. */
export function checksFor({ offline, push, page }: Extent): readonly Check<Scene>[] {
  if (offline) return here;
  return [...here, ...there, ...(push ? [upload] : []), ...(page ? [cors] : [])];
}

/** The option without which a check is not made; `null` for those that only `--offline` leaves out. */
export function optionFor(id: CheckId): string | null {
  switch (id) {
    case 'upload.location':
      return '--push';
    case 'cors.headers':
      return '--browser ORIGIN';
    default:
      return null;
  }
}
