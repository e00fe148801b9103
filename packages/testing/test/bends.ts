/** Clients that are wrong in one way each, and the case that must notice. */

import type { Bend } from './client.ts';

let lastAuthorization: readonly [string, string] | undefined;

/** What is wrong, the name of the case about it, and how to be wrong so. */
export const bends: readonly [wrong: string, caseName: RegExp, bend: Bend][] = [
  [
    'keeps Authorization across origins',
    /^a blob on another origin/,
    {
      outgoing: (sent) => {
        const own = sent.headers.find(([name]) => name === 'authorization');
        if (sent.to === 'registry' && own !== undefined) lastAuthorization = own;
        if (sent.to !== 'registry' || own !== undefined || lastAuthorization === undefined) return sent;
        return { ...sent, headers: [...sent.headers, lastAuthorization] };
      },
    },
  ],
  [
    'follows redirects of the token server',
    /a redirect is not followed/,
    { outgoing: (sent) => ({ ...sent, redirect: sent.to === 'authority' ? 'follow' : sent.redirect }) },
  ],
  [
    'loses the caller’s headers',
    /headers arrive as given/,
    {
      outgoing: (sent) => ({ ...sent, headers: sent.headers.filter(([name]) => name === 'authorization') }),
    },
  ],
  [
    'sends the caller’s headers to the token server',
    /headers arrive as given/,
    {
      outgoing: (sent) =>
        sent.to === 'registry' ? sent : { ...sent, headers: [...sent.headers, ['x-custom', '']] },
    },
  ],
  [
    'reads bodies of any size',
    /a gzip bomb/,
    { reply: (reply) => ({ ...reply, text: () => reply.raw.text() }) },
  ],
  [
    'sees one challenge only',
    /^challenge: in several field lines/,
    {
      reply: (reply) => {
        const headers = reply.head.headers.map(([name, value]): [string, string] =>
          name === 'www-authenticate' ? [name, value.split(',', 1)[0] ?? ''] : [name, value],
        );
        return { ...reply, head: { ...reply.head, headers } };
      },
    },
  ],
  ['remembers nothing', /^round trips/, { forgetful: true }],
  ['knows Basic alone', /^challenge: Bearer and Basic/, { policy: { schemes: ['basic'] } }],
  ['never tries again', /500 once is tried again/, { policy: { retry: { attempts: 1 } } }],
  ['tries for ever', /errors without end/, { policy: { retry: { attempts: 5, baseMs: 1 } } }],
  ['leaves the account out', /^a private pull/, { policy: { account: false } }],
  [
    'goes on without a refused password',
    /not taken for anonymous/,
    { policy: { rejectedCredential: 'anonymous-pull' } },
  ],
  ['never widens', /^insufficient_scope widens/, { policy: { limits: { grants: 1 } } }],
  [
    'follows without end',
    /^redirects without end/,
    { policy: { redirects: { max: 20 }, limits: { hops: 20 } } },
  ],
];
