import { describe, expect, test } from 'vitest';
import {
  againFor,
  anyTarget,
  referenceTarget,
  registryTarget,
  tagsTarget,
  urlTarget,
} from '../src/registry/argument.ts';
import { Complaint } from '../src/report/complaint.ts';

/** What `work` complains of. */
function complaintOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Complaint) return `${error.exitCode} ${error.message}`;
    throw error;
  }
  throw new Error('no complaint');
}

const hub = 'https://registry-1.docker.io/v2/';

test.each([
  ['ghcr.io', 'https://ghcr.io/v2/', 'ghcr.io', 'ghcr.io'],
  ['ghcr.io/', 'https://ghcr.io/v2/', 'ghcr.io', 'ghcr.io'],
  ['ghcr.io/v2/', 'https://ghcr.io/v2/', 'ghcr.io', 'ghcr.io'],
  ['https://ghcr.io', 'https://ghcr.io/v2/', 'ghcr.io', 'ghcr.io'],
  ['harbor', 'https://harbor/v2/', 'harbor', 'harbor'],
  ['r.example:5000', 'https://r.example:5000/v2/', 'r.example:5000', 'r.example:5000'],
  ['docker.io', hub, 'docker.io', 'docker.io'],
  ['index.docker.io', hub, 'docker.io', 'docker.io'],
  ['registry-1.docker.io', hub, 'docker.io', 'docker.io'],
  ['https://index.docker.io/v1/', hub, 'docker.io', 'docker.io'],
  ['localhost:5000', 'http://localhost:5000/v2/', 'localhost:5000', 'localhost:5000'],
  ['[::1]:5000', 'http://[::1]:5000/v2/', '[::1]:5000', '[::1]:5000'],
  ['https://localhost:5000', 'https://localhost:5000/v2/', 'localhost:5000', 'https://localhost:5000'],
  ['http://r.example', 'http://r.example/v2/', 'r.example', 'http://r.example'],
  // No reference can have it; a URL spells it.
  ['https://a_b:5000', 'https://a_b:5000/v2/', 'a_b:5000', 'https://a_b:5000'],
])('%s is the registry at %s', (text, url, registry, shown) => {
  const target = registryTarget(text, {});
  expect(target).toEqual({ url: new URL(url), registry, shown, short: null });
  // What is shown means the same again.
  expect(registryTarget(shown, {})).toEqual(target);
});

test('--plain-http is for a registry that is no URL', () => {
  const plain = { plainHttp: true };
  expect(registryTarget('r.example', plain)).toMatchObject({
    url: new URL('http://r.example/v2/'),
    shown: 'r.example',
  });
  expect(registryTarget('http://r.example', plain)).toMatchObject({ shown: 'r.example' });
  expect(registryTarget('https://r.example', plain)).toMatchObject({ shown: 'https://r.example' });
});

test.each([
  ['', /the registry is no host name/],
  ['ghcr.io/o/app', /about a whole registry/],
  ['https://ghcr.io/v2/o/app/tags/list', /about a whole registry/],
  ['https://ghcr.io/?a=b', /about a whole registry/],
  ['ghcr.io:x', /no port/],
  ['a b', /no host name/],
  ['-u', /no host name/],
  ['http://', /taken for a URL/],
  [`https://${'r'.repeat(9_000)}`, /no server takes a URL/],
])('%j is no registry', (text, message) => {
  expect(complaintOf(() => registryTarget(text, {}))).toMatch(message);
});

test('a password in an argument is not repeated', () => {
  for (const text of ['https://me:hush@r.example/', 'me:hush@r.example']) {
    expect(complaintOf(() => registryTarget(text, {}))).not.toContain('hush');
  }
});

describe('a registry, or an image or repository of one', () => {
  test.each([
    'ghcr.io',
    'docker.io',
    'localhost',
    'localhost:5000',
    'r.example:5000',
    'Harbor:443',
    '[::1]:5000',
    'harbor/',
    'https://r.example',
  ])('%s is a registry', (text) => {
    expect(anyTarget(text, {}).reference).toBeNull();
  });

  test.each([
    ['nginx', `${hub}library/nginx/tags/list`],
    ['busybox:1', `${hub}library/busybox/manifests/1`],
    ['ubuntu:22.04', `${hub}library/ubuntu/manifests/22.04`],
    ['o/app', `${hub}o/app/tags/list`],
    ['ghcr.io/o/app', 'https://ghcr.io/v2/o/app/tags/list'],
    ['localhost:5000/a:1', 'http://localhost:5000/v2/a/manifests/1'],
  ])('%s is an image or a repository', (text, url) => {
    const target = anyTarget(text, {});
    expect(target.url.href).toBe(url);
    expect(target.reference).not.toBeNull();
  });
});

test('what is short for another is told', () => {
  expect(referenceTarget('nginx', 'tags', {})).toMatchObject({
    registry: 'docker.io',
    shown: 'docker.io/library/nginx',
    short: 'nginx',
  });
  expect(referenceTarget('ghcr.io/o/app', 'tags', {})).toMatchObject({ short: null });
});

test('tags are of a repository, a blob has a digest', () => {
  expect(complaintOf(() => tagsTarget('nginx:1', {}))).toContain(
    "tags are those of 'docker.io/library/nginx'",
  );
  expect(complaintOf(() => referenceTarget('nginx', 'blob', {}))).toMatch(/a blob is named by its digest/);
});

describe('how to repeat a command', () => {
  test('of a reference', () => {
    const target = referenceTarget('o/app:1', 'manifest', {});
    const options = {
      caFile: 'my ca.pem',
      config: '/c',
      resolve: ['a.b:1:::1'],
      trustRealm: ['https://a.b'],
    };
    const flags = "--ca-file 'my ca.pem' --config /c --resolve a.b:1:::1 --trust-realm https://a.b";
    expect(againFor('token', target, options, ['--push'])).toEqual({
      command: `reg token docker.io/o/app:1 --push ${flags}`,
      plainHttp: `reg token docker.io/o/app:1 --push --plain-http ${flags}`,
      trace: `reg trace docker.io/o/app:1 ${flags}`,
      doctor: `reg doctor docker.io/o/app:1 ${flags}`,
      login: `reg login docker.io ${flags}`,
    });
  });

  test.each([
    ['https://registry-1.docker.io/v2/o/app/tags/list?n=1', 'docker.io'],
    ['https://r.example:5000/v2/', 'r.example:5000'],
    ['https://localhost:5000/v2/', 'https://localhost:5000'],
    ['http://localhost:5000/v2/', 'localhost:5000'],
    ['http://r.example/v2/a/tags/list', 'http://r.example'],
    ['https://a_b/v2/', 'https://a_b'],
  ])('of %s: its registry is %s', (text, registry) => {
    const again = againFor('trace', urlTarget(text, 'trace'), {});
    const [bare] = text.split('?');
    expect(again).toMatchObject({
      command: `reg trace ${bare}`,
      doctor: `reg doctor ${registry}`,
      login: `reg login ${registry}`,
    });
  });

  test('what is no plain word is quoted, and shown as it is no command', () => {
    const target = referenceTarget('o/app', 'tags', {});
    const { command } = againFor('tags', target, { caFile: "a'$(x)\n\u001b" });
    expect(command).toBe(`reg tags docker.io/o/app --ca-file 'a'\\''$(x)\\n\\u{1b}'`);
  });
});
