/**
 * Sixty answers of registries and token servers, and the requests that get them.
 *
 * Rules of this file: data alone, shaped as such servers answer, with hosts and secrets made up; every secret is a canary, so
 * that none can pass unseen. Answers come in the order in which the driver asks. No path has a `|` or a `^`, which runtimes spell
 * in two ways each.
 */

import type { Credential, PartialPolicy } from '../../packages/core/src/index.ts';

export interface Scene {
  readonly scene: string;
  readonly credentials?: Readonly<Record<string, Credential>>;
  readonly policy?: PartialPolicy;
  readonly requests: readonly {
    readonly method: string;
    readonly url: string;
    readonly headers?: readonly (readonly [name: string, value: string])[];
    readonly body?: 'replayable';
    /** How long after the one before. */
    readonly laterMs?: number;
  }[];
  readonly answers: readonly Answer[];
}

/** A response, a broken connection, or nothing at all. */
export type Answer =
  | {
      readonly status: number;
      readonly headers?: readonly (readonly [name: string, value: string])[];
      readonly body?: string;
      /** As a page sees it. */
      readonly filtered?: true;
    }
  | { readonly fault: { readonly phase: 'connect'; readonly code: string; readonly message: string } }
  | { readonly silence: true };

export const script: readonly Scene[] = [
  {
    scene: 'a hub: an anonymous pull, and one of what does not exist (Q46)',
    requests: [
      { method: 'GET', url: 'https://registry-1.docker.io/v2/library/busybox/tags/list' },
      { method: 'GET', url: 'https://registry-1.docker.io/v2/library/no-such-thing/tags/list?n=100' },
    ],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull"',
          ],
        ],
        body: '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}',
      },
      {
        status: 200,
        body: '{"token":"canary-a00000000000000000000001","access_token":"canary-a00000000000000000000001","expires_in":300,"issued_at":"2023-11-14T22:13:20.123456789Z"}',
      },
      {
        status: 200,
        headers: [['Content-Type', 'application/json']],
        body: '{"name":"library/busybox","tags":["latest"]}',
      },
      { status: 200, body: '{"token":"canary-a00000000000000000000003","expires_in":300}' },
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/no-such-thing:pull",error="insufficient_scope"',
          ],
        ],
        body: '{"errors":[{"code":"UNAUTHORIZED","message":"no canary-a00000000000000000000003 for you \\u202e","detail":[{"Type":"repository"}]}]}',
      },
    ],
  },
  {
    scene: 'a code host: a password it has revoked, with 403 (Q35)',
    credentials: {
      'ghcr.io': { type: 'password', username: 'alice', password: 'canary-b00000000000000000000001' },
    },
    requests: [{ method: 'HEAD', url: 'https://ghcr.io/v2/acme/app/manifests/latest' }],
    answers: [
      {
        status: 401,
        headers: [
          [
            'www-authenticate',
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:acme/app:pull"',
          ],
        ],
      },
      {
        status: 403,
        headers: [['content-type', 'text/plain']],
        body: '{"errors":[{"code":"DENIED","message":"permission_denied: canary-b00000000000000000000001 is revoked"}]}',
      },
    ],
  },
  {
    scene: 'a forge: Bearer and Basic in one line, a scope of no repository (Q03, Q14)',
    credentials: {
      'forge.example': {
        type: 'password',
        username: 'älice+robot$x',
        password: 'canary-c00000000000000000000001:ü☃',
      },
    },
    requests: [{ method: 'GET', url: 'https://forge.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'bEaReR realm="https://forge.example/v2/token",service="container_registry",scope="*",Basic realm="https://forge.example/v2",charset="UTF-8"',
          ],
        ],
      },
      { status: 200, body: '{"token":"canary-c00000000000000000000002","expires_in":"1800"}' },
      { status: 200, body: '{}' },
    ],
  },
  {
    scene: 'values without quotes, access_token alone, lengths of time as no number is (Q07, Q24, Q25)',
    requests: [{ method: 'GET', url: 'https://icr.example/v2/cp/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm=https://icr.example/oauth/token, service=registry, scope=repository:cp/app:pull',
          ],
        ],
      },
      {
        status: 200,
        body: '{"access_token":"canary-d00000000000000000000001","expires_in":1e400,"refresh_token":null,"scope":"repository:cp/app:pull"}',
      },
      { status: 200, body: '{}' },
    ],
  },
  {
    scene: 'a realm in odd spelling: Unicode host, dots, escapes, a query of its own (Q16, Q49)',
    policy: { realms: { mode: 'any-https' } },
    requests: [{ method: 'GET', url: 'https://spelled.example/v2/team/app/tags/list?last=%7Ex&n=1' }],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="HTTPS://BÜCHER.Example:443/a b/./../%74oken;v=1/{x}`?host=%7e^\'x|y&é=%2f",service="a&b=c d+e\'",scope="repository:team/app:pull",scope="repository:team/lib:pull"',
          ],
        ],
      },
      { status: 200, body: '{"token":"canary-e00000000000000000000001"}' },
      {
        status: 307,
        headers: [
          [
            'Location',
            "//cdn.xn--bcher-kva.example/bl ob/%2e%2E/xy{z}?X-Amz-Signature=canary-e00000000000000000000002&a='b'",
          ],
        ],
      },
      { status: 200, body: '{}' },
    ],
  },
  {
    scene:
      "a token server at an ancestor's: busy once, then good; a held grant; a new one when it has expired",
    credentials: {
      'registry.gitlab.example': {
        type: 'password',
        username: 'alice',
        password: 'canary-f00000000000000000000001',
      },
    },
    policy: { retry: { capMs: 0 } },
    requests: [
      { method: 'GET', url: 'https://registry.gitlab.example/v2/team/app/tags/list' },
      { method: 'GET', url: 'https://registry.gitlab.example/v2/team/app/manifests/1' },
      { method: 'GET', url: 'https://registry.gitlab.example/v2/team/app/manifests/2', laterMs: 400000 },
    ],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="https://gitlab.example/jwt/auth",service="container_registry",scope="repository:team/app:pull"',
          ],
        ],
      },
      { status: 503, headers: [['Retry-After', '2']], body: '<html>busy</html>' },
      { status: 200, body: '{"token":"canary-f00000000000000000000002","expires_in":300}' },
      { status: 200, body: '{}' },
      { status: 404, body: '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}' },
      { status: 200, body: '{"token":"canary-f00000000000000000000003","expires_in":300}' },
      { status: 200, body: '{}' },
    ],
  },
  {
    scene: 'an identity token that rotates at each use',
    credentials: { 'acr.example': { type: 'identity', token: 'canary-010000000000000000000001' } },
    requests: [
      { method: 'GET', url: 'https://acr.example/v2/team/app/tags/list' },
      { method: 'GET', url: 'https://acr.example/v2/team/lib/tags/list' },
    ],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="https://acr.example/oauth2/token",service="acr.example",scope="repository:team/app:metadata_read,pull"',
          ],
        ],
      },
      {
        status: 200,
        body: '{"access_token":"canary-010000000000000000000002","refresh_token":"canary-010000000000000000000003"}',
      },
      { status: 200, body: '{}' },
      {
        status: 200,
        body: '{"access_token":"canary-010000000000000000000004","refresh_token":"canary-010000000000000000000005"}',
      },
      { status: 200, body: '{}' },
    ],
  },
  {
    scene: 'a token server that asks for time, by a date of its own clock, then for too much (Q42)',
    policy: { retry: { capMs: 0 } },
    requests: [
      { method: 'GET', url: 'https://busy.example/v2/team/app/tags/list' },
      { method: 'GET', url: 'https://busy.example/v2/team/lib/tags/list' },
    ],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="https://busy.example/token",service="busy"']],
      },
      {
        status: 429,
        headers: [
          ['Date', 'Sun, 06 Nov 1994 08:49:37 GMT'],
          ['Retry-After', 'Sunday, 06-Nov-94 08:49:39 GMT'],
        ],
      },
      { status: 200, body: '{"token":"canary-020000000000000000000001"}' },
      { status: 200, body: '{}' },
      { status: 429, headers: [['Retry-After', '3600']], body: '{"details":"slow down"}' },
    ],
  },
  {
    scene: 'a push that turns out to need more (requirements 39, 40)',
    credentials: {
      'push.example': { type: 'password', username: 'alice', password: 'canary-030000000000000000000001' },
    },
    requests: [
      {
        method: 'PUT',
        url: 'https://push.example/v2/team/app/manifests/1',
        headers: [['content-type', 'application/json']],
        body: 'replayable',
      },
    ],
    answers: [
      {
        status: 401,
        headers: [
          ['WWW-Authenticate', 'Newauth realm="x", title="Login to \\"apps\\", please"'],
          ['WWW-Authenticate', 'Bearer realm="/token",service="push",scope="repository:team/app:push"'],
        ],
      },
      { status: 200, body: '{"token":"canary-030000000000000000000002","expires_in":60}' },
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="/token",service="push",scope="repository:team/app:pull,push registry:catalog:*",error="insufficient_scope"',
          ],
        ],
      },
      { status: 200, body: '{"token":"canary-030000000000000000000003","expires_in":60}' },
      { status: 201, headers: [['Location', '/v2/team/app/manifests/1']] },
    ],
  },
  {
    scene: 'a blob elsewhere: the grant stays behind (Q47)',
    credentials: { 'blobs.example': { type: 'registry', token: 'canary-040000000000000000000001' } },
    requests: [
      {
        method: 'GET',
        url: 'https://blobs.example/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        headers: [
          ['range', 'bytes=0-2'],
          ['cookie', 'canary-040000000000000000000002'],
        ],
      },
    ],
    answers: [
      { status: 401, headers: [['WWW-Authenticate', 'Bearer realm="https://blobs.example/token"']] },
      {
        status: 302,
        headers: [
          [
            'Location',
            'https://cdn.example:443/%7Bblob%7D?sig=canary-040000000000000000000003%2B&se=2026-01-01T00%3A00%3A00Z#canary-040000000000000000000004',
          ],
          ['Set-Cookie', 'a=canary-040000000000000000000005'],
        ],
      },
      { status: 206, headers: [['Content-Range', 'bytes 0-2/11']], body: 'app' },
    ],
  },
  {
    scene: 'Basic, as a registry without token server asks for it; then wrong',
    credentials: {
      'basic.example:5000': {
        type: 'password',
        username: 'alice',
        password: 'canary-050000000000000000000001',
      },
    },
    requests: [
      { method: 'GET', url: 'https://basic.example:5000/v2/team/app/tags/list' },
      { method: 'GET', url: 'https://basic.example:5000/v2/team/lib/tags/list' },
    ],
    answers: [
      { status: 401, headers: [['WWW-Authenticate', 'BASIC realm=Sonatype Nexus; charset="UTF-8"']] },
      { status: 200, body: '{}' },
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Basic realm="Sonatype Nexus"']],
        body: '{"errors":[{"code":"UNAUTHORIZED"}]}',
      },
    ],
  },
  {
    scene: 'whose fault it is: a realm nobody vouches for',
    credentials: {
      'shared.example': { type: 'password', username: 'alice', password: 'canary-060000000000000000000001' },
    },
    requests: [{ method: 'GET', url: 'https://shared.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [
          [
            'WWW-Authenticate',
            'Bearer realm="https://auth.attacker.example/token?u=canary-060000000000000000000001",service="x"',
          ],
        ],
      },
    ],
  },
  {
    scene: 'whose fault it is: Basic where a token server is known (Q13)',
    credentials: {
      'registry-1.docker.io': {
        type: 'password',
        username: 'alice',
        password: 'canary-060000000000000000000002',
      },
    },
    requests: [{ method: 'GET', url: 'https://registry-1.docker.io/v2/team/app/tags/list' }],
    answers: [{ status: 401, headers: [['WWW-Authenticate', 'Basic realm="x"']] }],
  },
  {
    scene: 'whose fault it is: a realm in plain http (Q17)',
    credentials: {
      'proxied.example': { type: 'password', username: 'alice', password: 'canary-060000000000000000000003' },
    },
    requests: [{ method: 'GET', url: 'https://proxied.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="http://proxied.example//token",service="x"']],
      },
    ],
  },
  {
    scene: "whose fault it is: a realm that is the cloud's own address, in hexadecimal",
    requests: [{ method: 'GET', url: 'https://ssrf.example/v2/team/app/tags/list' }],
    answers: [
      { status: 401, headers: [['WWW-Authenticate', 'Bearer realm="https://0xA9.254.0251.0xfe/latest"']] },
    ],
  },
  {
    scene: 'whose fault it is: 401 without a challenge, 401 with one that cannot be read (Q06)',
    requests: [
      { method: 'GET', url: 'https://mute.example/v2/team/app/tags/list' },
      { method: 'GET', url: 'https://mute.example/v2/team/lib/tags/list' },
    ],
    answers: [
      { status: 401, body: '' },
      {
        status: 401,
        headers: [
          ['WWW-Authenticate', 'Bearer realm="https://mute.example/token'],
          ['WWW-Authenticate', 'Basic\u0000realm=x'],
        ],
      },
    ],
  },
  {
    scene: 'whose fault it is: a token server that answers with a page',
    requests: [{ method: 'GET', url: 'https://portal.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="https://portal.example/token",service="x"']],
      },
      {
        status: 200,
        headers: [['Content-Type', 'text/html']],
        body: '<!doctype html><title>Sign in</title>',
      },
    ],
  },
  {
    scene: 'whose fault it is: a token server that cannot be reached',
    policy: { retry: { attempts: 1 } },
    requests: [{ method: 'GET', url: 'https://down.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="https://down.example/token",service="x"']],
      },
      { fault: { phase: 'connect', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 192.0.2.1:443' } },
    ],
  },
  {
    scene: 'whose fault it is: a token server that never answers',
    requests: [{ method: 'GET', url: 'https://silent.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="https://silent.example/token",service="x"']],
      },
      { silence: true },
    ],
  },
  {
    scene: 'whose fault it is: a token server that sends elsewhere (requirement 60)',
    requests: [{ method: 'GET', url: 'https://moved.example/v2/team/app/tags/list' }],
    answers: [
      {
        status: 401,
        headers: [['WWW-Authenticate', 'Bearer realm="https://moved.example/token",service="x"']],
      },
      {
        status: 308,
        headers: [['Location', 'https://user:canary-070000000000000000000001@moved.example/login']],
      },
    ],
  },
  {
    scene: 'whose fault it is: an operator who hides the challenge from pages',
    requests: [{ method: 'GET', url: 'https://hidden.example/v2/team/app/tags/list' }],
    answers: [{ status: 401, headers: [['Content-Type', 'application/json']], filtered: true }],
  },
];
