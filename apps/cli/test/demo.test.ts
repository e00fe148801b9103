import { connect } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Ended, ended, start } from './process.ts';

/** The parts of the workflow, in the order in which they must appear; `•••` stands for every secret. */
const workflow: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'the request that is not authorized yet',
    /^#1 → GET http:\/\/127\.0\.0\.1:\d+\/v2\/library\/busybox\/tags\/list$/m,
  ],
  ['that it carries no authorization', /^ {5}no authorization$/m],
  ['the reply', /401 Unauthorized/],
  ['its headers', /^ {5}docker-distribution-api-version: registry\/2\.0$/m],
  [
    'the challenge',
    /^ {5}www-authenticate: Bearer realm="http:\/\/127\.0\.0\.1:\d+\/token",service="demo-registry",scope="repository:library\/busybox:pull"$/m,
  ],
  ['the body', /"code": "UNAUTHORIZED"/],
  ['what it means', /» the registry wants a Bearer token/],
  ['where the credential is from', /this demo/],
  ['the token request', /^#2 → GET http:\/\/127\.0\.0\.1:\d+\/token$/m],
  ['its service', /^ {5}service: demo-registry$/m],
  ['its scope', /^ {5}scope: repository:library\/busybox:pull$/m],
  ['its account', /^ {5}account: dockerhubuser$/m],
  ['its credential', /^ {5}authorization: Basic dockerhubuser:•••$/m],
  ['the token response', /200 OK/],
  ['the token, hidden', /"token": "•••"/],
  ['its life', /"expires_in": 300/],
  ['what it means', /» a token for repository:library\/busybox:pull, good for 300 s/],
  ['the request again', /^#3 → GET http:\/\/127\.0\.0\.1:\d+\/v2\/library\/busybox\/tags\/list$/m],
  ['with the token, hidden', /^ {5}authorization: Bearer ••• \(the token of #2\)$/m],
  ['the reply', /200 OK/],
  ['the tags', /"name": "library\/busybox",\s+"tags": \[\s+"1-glibc",\s+"1-musl",/],
  ['what it means', /» the registry takes it/],
  ['the count', /^3 requests/m],
  ['what a second call costs', /costs 1 request/],
  ['the diagram', /^sequenceDiagram$/m],
  ['its requests', /C->>S2: GET \/token/],
  ['what to do next', /npx -y pnpm reg trace docker\.io\/library\/busybox/],
];

describe('the demo', () => {
  let ran: Ended;
  beforeAll(async () => {
    ran = await ended(start('demo.ts'));
  });

  test('ends by itself with 0, and says nothing on stderr', () => {
    expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('shows the whole workflow, in order', () => {
    let rest = ran.stdout;
    for (const [what, pattern] of workflow) {
      const found = pattern.exec(rest);
      expect(found, what).not.toBeNull();
      rest = rest.slice((found?.index ?? 0) + (found?.[0].length ?? 0));
    }
  });

  test('shows no token and no password: all that is secret is •••', () => {
    // `ended` has looked for the secrets themselves, in every spelling.
    for (const [, value] of ran.stdout.matchAll(/authorization: (?:Basic \w+:|Bearer )(\S+)/g))
      expect(value).toBe('•••');
    for (const [, value] of ran.stdout.matchAll(/token": "([^"]*)"/g)) expect(value).toBe('•••');
  });

  test('leaves no server behind', async () => {
    const ports = new Set([...ran.stdout.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)));
    expect(ports.size).toBe(2);
    for (const port of ports) {
      const code = await new Promise((resolve) => {
        connect(port, '127.0.0.1', () => resolve('open')).on('error', (error: NodeJS.ErrnoException) =>
          resolve(error.code),
        );
      });
      expect(code).toBe('ECONNREFUSED');
    }
  });
});
