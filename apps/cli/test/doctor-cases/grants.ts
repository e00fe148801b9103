/** Set-ups in which a token server, or what it grants, is in the way. */

import { HOST, password, signIn, tokenRegistry, tokensBehind } from './registries.ts';
import { change, type Prepare } from './set-up.ts';

const list = ['list-tags', `docker://${HOST}/team/app`];

const tokenLacksPush: Prepare = async (stage) => {
  const { front } = await tokenRegistry(stage);
  signIn(stage, password);
  return {
    skopeo: ['copy', `docker://${HOST}/team/app:1`, `docker://${HOST}/team/app:2`],
    follow: (fix) => change(fix, /push/, () => tokensBehind(stage, front, { actions: ['pull', 'push'] })),
  };
};

const repositoryMissingOrDenied: Prepare = async (stage) => {
  const { front } = await tokenRegistry(stage, { actions: [] });
  signIn(stage, password);
  return {
    skopeo: list,
    follow: (fix) => change(fix, /pull|access/, () => tokensBehind(stage, front)),
  };
};

const rateLimited: Prepare = async (stage) => {
  const { front } = await tokenRegistry(stage);
  signIn(stage, password);
  front.become({
    answer({ url = '' }) {
      if (!url.startsWith('/v2/team/')) return null;
      const message = 'You have reached your pull rate limit.';
      const headers = {
        'Retry-After': '1',
        'RateLimit-Limit': '100;w=21600',
        'RateLimit-Remaining': '0;w=21600',
      };
      return {
        status: 429,
        headers,
        body: JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message }] }),
      };
    },
  });
  return {
    skopeo: list,
    follow: (fix) => change(fix, /sleep|wait|later/i, () => front.become({ answer: () => null })),
  };
};

const tokenServerError: Prepare = async (stage) => {
  const { tokens } = await tokenRegistry(stage);
  signIn(stage, password);
  tokens.faults.add({ kind: 'status', status: 503, body: 'upstream connect error', times: Infinity });
  return {
    skopeo: list,
    follow: (fix) => change(fix, /token/, () => tokens.faults.clear()),
  };
};

/** The token server's clock is ahead: what it issues is not valid yet, and docker-registry forgives 60 s. */
const clockSkew: Prepare = async (stage) => {
  let ahead = 0;
  const { front } = await tokenRegistry(stage, { clock: () => Date.now() + ahead });
  signIn(stage, password);
  ahead = 90_000;
  front.become({
    edit: (headers, { url = '' }) =>
      url.startsWith('/token') ? { ...headers, date: new Date(Date.now() + ahead).toUTCString() } : headers,
  });
  return {
    skopeo: list,
    follow: (fix) =>
      change(fix, /clock|ntp|chrony|timesync/i, () => {
        ahead = 0;
      }),
  };
};

export const grants: Readonly<Record<string, Prepare>> = {
  'token-lacks-push': tokenLacksPush,
  'repository-missing-or-denied': repositoryMissingOrDenied,
  'rate-limited': rateLimited,
  'token-server-error': tokenServerError,
  'clock-skew': clockSkew,
};
