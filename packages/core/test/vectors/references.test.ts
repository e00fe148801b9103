import { classifyHost } from '../../src/address.ts';
import {
  endpoint,
  formatReference,
  InvalidReference,
  parseReference,
  type Reference,
} from '../../src/reference.ts';
import { describeTopic, membersOf, type Vector } from './harness.ts';

function attempt(text: string): Reference | null {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof InvalidReference) return null;
    throw error;
  }
}

const hubHosts = ['docker.io/', 'index.docker.io/', 'registry-1.docker.io/'];

/** Whether the text itself names the registry that was read from it. */
function namesRegistry(text: string, { registry }: Reference): boolean {
  return registry !== 'docker.io' || hubHosts.some((host) => text.startsWith(host));
}

/** Without what Docker Hub adds, as tools print it. */
function familiarName({ registry, repository }: Reference): string {
  if (registry !== 'docker.io') return `${registry}/${repository}`;
  const short = repository.startsWith('library/') ? repository.slice('library/'.length) : repository;
  return short.includes('/') ? repository : short;
}

/** What the manifest endpoint asks for: the digest, the tag, or `latest`. */
function objectOf(reference: Reference): string {
  return endpoint(reference, 'manifest').pathname.split('/').at(-1) ?? '';
}

function withObject(reference: Reference): string {
  const object = objectOf(reference);
  return `${reference.registry}/${reference.repository}${object.includes(':') ? '@' : ':'}${object}`;
}

/** Docker Hub's API host in ggcr. */
function hubAsIndex(text: string): string {
  return text === 'docker.io' || text.startsWith('docker.io/') ? `index.${text}` : text;
}

/** A host name, read where a registry stands. */
function host(text: string): Reference | null {
  return attempt(text === '' ? 'name' : `${text}/name`);
}

/** `answer` cut down to what the vector names. */
function named(vector: Vector, answer: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(answer).filter(([name]) => vector.expect.has(name)));
}

function validity(
  reference: Reference | null,
  answer: (reference: Reference) => Readonly<Record<string, unknown>>,
) {
  return reference === null ? { valid: false } : { valid: true, ...answer(reference) };
}

function withoutError({ expect }: Vector): unknown {
  return expect.without('error');
}

function textOf({ input }: Vector): string {
  const names = ['ref', 'text', 'host', 'name'];
  return names.map((name) => input.value(name)).find((value) => typeof value === 'string') ?? '';
}

/** Whether the vector expects the input to be accepted. */
function accepts({ expect }: Vector): boolean {
  return ['valid', 'match', 'valid_weak'].some((name) => expect.value(name) === true);
}

function isRefusal(ours: unknown): boolean {
  return ['valid', 'match', 'valid_weak'].some((name) => membersOf(ours)[name] === false);
}

/** The name, tag and digest of an answer that has no registry of its own, in distribution's words. */
function strict(reference: Reference): Readonly<Record<string, unknown>> {
  return { repository: familiarName(reference), tag: reference.tag ?? '', digest: reference.digest ?? '' };
}

const ggcr = {
  ours: (vector: Vector) => {
    const text = vector.input.text('ref');
    const reference = vector.op === 'ggcr-new-registry' ? host(text) : attempt(text);
    if (reference === null) return named(vector, { valid_weak: false });
    const written = vector.op === 'ggcr-new-registry' ? reference.registry : formatReference(reference);
    return named(vector, {
      valid_weak: true,
      name_roundtrips: hubAsIndex(written) === text,
      registry: hubAsIndex(reference.registry),
      repository: reference.repository,
      digest: reference.digest,
      context: `${reference.registry}/${reference.repository}`,
      name: hubAsIndex(withObject(reference)),
    });
  },
  // Strict and weak are two modes; docker.io defaults are the weak one.
  theirs: ({ expect }: Vector) => expect.without('valid_strict', 'error'),
};

const wholeDigest = /^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}|blake3:[0-9a-f]{64})$/;

function digestOf(vector: Vector): string {
  const { input } = vector;
  return typeof input.value('digest') === 'string'
    ? input.text('digest')
    : textOf(vector).split('@').slice(1).join('@');
}

const plainName = /^[a-z0-9][a-z0-9._/-]*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/;

/** What is left of a text without registry, tag and digest. */
function pathOf(text: string): string {
  return text.replace(/^([^/]*[.:A-Z][^/]*|localhost)\//, '').replace(/[:@].*$/, '');
}

/** Whether a text has no registry in front by anybody's reading. */
function hasNoRegistry(text: string): boolean {
  const [first = '', ...rest] = text.split('/');
  return plainName.test(text) && (rest.length === 0 || !/[.:A-Z]|^localhost$/.test(first));
}

describeTopic('references', {
  operations: {
    'parse-normalized': {
      ours: (vector) =>
        validity(attempt(vector.input.text('ref')), (reference) =>
          named(vector, {
            domain: reference.registry,
            path: reference.repository,
            canonical: formatReference(reference),
            familiar: familiarName(reference),
          }),
        ),
    },
    'parse-any': {
      ours: ({ input }) =>
        validity(attempt(input.text('ref')), (reference) => ({
          canonical: formatReference(reference),
          is_digest_only: false,
        })),
    },
    'parse-docker-ref': {
      ours: ({ input }) =>
        validity(attempt(input.text('ref')), (reference) => ({ canonical: withObject(reference) })),
    },
    'parse-strict': {
      ours: (vector) => {
        const text = vector.input.text('ref');
        return validity(attempt(text), (reference) => ({
          ...(namesRegistry(text, reference) ? { domain: reference.registry } : {}),
          ...strict(reference),
        }));
      },
      // Without docker.io defaults `a/b` has the domain `a`. Where ours is the default, the two cannot be compared.
      theirs: ({ input, expect }) => {
        const reference = attempt(input.text('ref'));
        const comparable = reference !== null && namesRegistry(input.text('ref'), reference);
        return comparable ? expect.without('error') : expect.without('error', 'domain');
      },
    },
    'with-name': {
      ours: ({ input }) => {
        const reference = attempt(input.text('name'));
        const bare = reference?.tag === undefined && reference?.digest === undefined;
        return validity(bare ? reference : null, (name) => ({ path: familiarName(name) }));
      },
      theirs: ({ expect }) => {
        if (expect.value('valid') === false) return { valid: false };
        const domain = expect.text('domain');
        return { valid: true, path: (domain === '' ? '' : `${domain}/`) + expect.text('path') };
      },
    },
    'with-tag': { ours: (vector) => added(vector) },
    'with-digest': { ours: (vector) => added(vector) },
    'serialize-roundtrip': {
      ours: ({ input }) => {
        const reference = attempt(input.text('ref'));
        return validity(reference === null ? null : attempt(formatReference(reference)), strict);
      },
      theirs: withoutError,
    },
    'parse-named-canonical-only': {
      ours: ({ input }) => {
        const reference = attempt(input.text('ref'));
        const canonical = reference !== null && formatReference(reference) === input.text('ref');
        return validity(canonical ? reference : null, ({ registry, repository }) => ({
          domain: registry,
          path: repository,
        }));
      },
      theirs: withoutError,
    },
    'match-domain': {
      ours: ({ input }) => ({ match: host(input.text('text')) !== null && input.text('text') !== '' }),
    },
    'match-name': {
      ours: (vector) => {
        const reference = attempt(vector.input.text('text'));
        if (reference === null || reference.tag !== undefined || reference.digest !== undefined)
          return { match: false };
        return named(vector, { match: true, groups: familiarName(reference) });
      },
      theirs: ({ expect }) => ({
        ...expect.without(),
        ...(expect.has('groups')
          ? {
              groups: expect
                .texts('groups')
                .filter((group) => group !== '')
                .join('/'),
            }
          : {}),
      }),
    },
    'match-reference': {
      ours: (vector) => {
        const reference = attempt(vector.input.text('text'));
        if (reference === null) return { match: false };
        const { tag = '', digest = '' } = reference;
        return named(vector, { match: true, groups: [familiarName(reference), tag, digest] });
      },
    },
    'ggcr-new-registry': ggcr,
    'ggcr-new-repository': ggcr,
    'ggcr-new-tag': ggcr,
    'ggcr-new-digest': ggcr,
    'ggcr-parse-reference': ggcr,
    'is-rfc1918': {
      ours: ({ input }) => {
        const url = `https://${input.text('host')}`;
        return { result: URL.canParse(url) && classifyHost(new URL(url).hostname) === 'private' };
      },
    },
    'registry-scheme': {
      ours: ({ input }) => {
        const options = input.has('insecure') ? { insecure: input.value('insecure') === true } : {};
        return { scheme: endpoint({ registry: input.text('host') }, 'ping', options).protocol.slice(0, -1) };
      },
    },
    'is-localhost': {
      ours: ({ input }) => {
        const reference = input.text('host') === '' ? null : host(input.text('host'));
        return { result: reference !== null && endpoint(reference, 'ping').protocol === 'http:' };
      },
    },
    'registry-host': {
      ours: ({ input }) => ({ host: endpoint({ registry: input.text('registry') }, 'ping').host }),
    },
    'oras-parse-reference': {
      ours: ({ input }) =>
        validity(attempt(input.text('ref')), ({ registry, repository, tag = '', digest = '' }) => ({
          registry,
          repository,
          reference: digest === '' ? tag : digest,
          tag,
          digest,
        })),
    },
    'oras-validate-reference': {
      ours: ({ input }) => {
        const object = input.has('reference') ? input.text('reference') : '';
        const separator = object === '' ? '' : object.includes(':') ? '@' : ':';
        const text = `${input.text('registry')}/${input.text('repository')}${separator}${object}`;
        return validity(attempt(text), () => ({}));
      },
    },
    'oras-reference-or-default': {
      ours: ({ input }) => {
        const object = String(membersOf(input.value('reference'))['Reference'] ?? '');
        const reference = { registry: 'registry.example.com', repository: 'name' };
        const given = object === '' ? {} : object.includes(':') ? { digest: object } : { tag: object };
        return { result: objectOf({ ...reference, ...given }) };
      },
    },
    'oras-reference-string': {
      ours: ({ input }) => {
        const parts = membersOf(input.value('reference'));
        const object = String(parts['Reference'] ?? '');
        const given = object === '' ? {} : object.includes(':') ? { digest: object } : { tag: object };
        const [registry, repository] = [String(parts['Registry'] ?? ''), String(parts['Repository'] ?? '')];
        return { result: formatReference({ registry, repository, ...given }) };
      },
    },
    'regclient-parse-ref': {
      ours: ({ input }) =>
        validity(attempt(input.text('ref')), (reference) => ({
          scheme: 'reg',
          registry: reference.registry,
          repository: reference.repository,
          tag: reference.tag ?? (reference.digest === undefined ? objectOf(reference) : ''),
          digest: reference.digest ?? '',
          path: '',
        })),
      theirs: withoutError,
    },
    'regclient-parse-host': {
      ours: ({ input }) => {
        const reference = input.text('host') === '' ? null : host(input.text('host'));
        return validity(reference, ({ registry }) => ({ scheme: 'reg', registry, path: '' }));
      },
      theirs: withoutError,
    },
    'containerd-parse-spec': {
      ours: ({ input }) =>
        validity(attempt(input.text('ref')), ({ registry, repository, tag, digest }) => {
          const object = `${tag ?? ''}${digest === undefined ? '' : `@${digest}`}`;
          const locator = `${registry}/${repository}`;
          return {
            locator,
            object,
            hostname: registry,
            digest: digest ?? '',
            string: object === '' || tag === undefined ? locator + object : `${locator}:${object}`,
          };
        }),
      theirs: withoutError,
    },
    'docker-index-info': {
      ours: ({ input }) => {
        const reference = parseReference(input.text('ref'));
        return {
          index_name: reference.registry,
          official: reference.registry === 'docker.io',
          secure: endpoint(reference, 'ping').protocol === 'https:',
          remote_name: reference.repository,
          local_name: familiarName(reference),
          canonical_name: `${reference.registry}/${reference.repository}`,
        };
      },
    },
  },
  rules: [
    {
      name: 'glob',
      reason: 'the core matches no patterns',
      kind: 'foreign',
      applies: ({ op }) => op === 'familiar-match',
    },
    {
      name: 'identifier-pattern',
      reason: 'image IDs belong to a daemon; the core only refuses them',
      kind: 'foreign',
      applies: ({ op }) => op === 'match-identifier',
    },
    {
      name: 'image-layout',
      reason: 'a layout on disk, which no registry serves',
      kind: 'foreign',
      applies: (vector) =>
        accepts(vector) && ['ocidir', 'ocifile'].includes(String(vector.expect.value('scheme'))),
      differs: isRefusal,
    },
    {
      name: 'other-defaults',
      reason: "the client's own option for another default registry or tag",
      kind: 'foreign',
      applies: ({ op, input }) => {
        const text = String(input.value('ref'));
        const registryLeftOut = op === 'ggcr-new-registry' ? text === '' : hasNoRegistry(text);
        return (
          (input.has('default_registry') && registryLeftOut) ||
          (input.has('default_tag') && !/[:@][^/]*$/.test(text))
        );
      },
      differs: (ours, { expect }) => {
        const { registry, name } = membersOf(ours);
        return (registry ?? name) !== (expect.value('registry') ?? expect.value('name'));
      },
    },
    {
      name: 'strict-mode',
      reason: 'the client has a mode in which nothing may be left out; ours has the defaults of docker.io',
      kind: 'foreign',
      applies: ({ expect }) => expect.value('valid_strict') === false && !expect.has('valid_weak'),
      differs: (_, vector) => attempt(textOf(vector)) !== null,
    },
    {
      name: 'image-id',
      reason: 'an image ID or a digest alone names no repository, so it is refused',
      kind: 'policy',
      applies: ({ expect }) => expect.value('is_digest_only') === true,
      differs: isRefusal,
    },
    {
      name: 'scheme-in-front',
      reason: 'a reference has no scheme; what has one is a URL, and is refused',
      kind: 'policy',
      applies: (vector) => accepts(vector) && textOf(vector).includes('://'),
      differs: isRefusal,
    },
    {
      name: 'query-behind',
      reason: 'a reference is no URL and has no query',
      kind: 'policy',
      applies: (vector) => accepts(vector) && textOf(vector).includes('?'),
      differs: isRefusal,
    },
    {
      name: 'whole-digests',
      reason: 'a digest has all hex digits of its algorithm, as registries require',
      kind: 'policy',
      applies: (vector) => accepts(vector) && digestOf(vector) !== '' && !wholeDigest.test(digestOf(vector)),
      differs: isRefusal,
    },
    {
      name: 'registered-digests',
      reason: 'sha384, sha512 and blake3 are digests too; those tests run without them',
      kind: 'policy',
      applies: (vector) =>
        !accepts(vector) && !digestOf(vector).startsWith('sha256:') && wholeDigest.test(digestOf(vector)),
      differs: (ours) => !isRefusal(ours),
    },
    {
      name: 'empty-tag',
      reason: 'a colon announces a tag, so an empty tag is a mistake',
      kind: 'policy',
      applies: (vector) => accepts(vector) && textOf(vector).includes(':@'),
      differs: isRefusal,
    },
    {
      name: 'names-up-to-255',
      reason: 'a repository has 255 characters at most; a pattern alone does not count them',
      kind: 'policy',
      applies: (vector) => accepts(vector) && pathOf(textOf(vector)).length > 255,
      differs: isRefusal,
    },
    {
      name: 'hosts-of-urls',
      reason: 'a registry is a host and port that a URL can hold, or no request could be sent to it',
      kind: 'policy',
      applies: (vector) =>
        ['match-domain', 'match-name', 'regclient-parse-host'].includes(vector.op) &&
        accepts(vector) &&
        !URL.canParse(`https://${textOf(vector)}`),
      differs: isRefusal,
    },
    {
      name: 'no-dot-behind-the-host',
      reason: 'trust, TLS name and connection could each mean another host when the name ends in a dot',
      kind: 'policy',
      applies: (vector) => accepts(vector) && /^[^/]*\.(:\d+)?(\/|$)/.test(textOf(vector)),
      differs: isRefusal,
    },
    {
      name: 'localhost-is-a-registry',
      reason: 'nobody means docker.io/library/localhost',
      kind: 'policy',
      applies: (vector) =>
        accepts(vector) &&
        /^localhost($|[:@][^/]*$)/.test(textOf(vector)) &&
        !/domain|host|registry/.test(vector.op),
      differs: isRefusal,
    },
    {
      name: 'docker.io-by-default',
      reason: 'no registry means docker.io, as users of Docker expect',
      kind: 'policy',
      applies: (vector) =>
        vector.expect.value('valid') === false &&
        hasNoRegistry(textOf(vector)) &&
        /^(oras|containerd)-/.test(vector.op),
      differs: (ours) =>
        membersOf(ours)['valid'] === true && ['docker.io', undefined].includes(registryOf(ours)),
    },
    {
      name: 'https-on-private-networks',
      reason: 'http is for loopback and for what the user allows it; a private network is no reason',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'registry-scheme' &&
        expect.value('scheme') === 'http' &&
        !input.has('insecure') &&
        /^(10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(input.text('host')),
      differs: (ours) => membersOf(ours)['scheme'] === 'https',
    },
    {
      name: 'references-name-repositories',
      reason: 'a reference always names a repository; a registry alone is `endpoint({ registry }, …)`',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'oras-reference-string' && !membersOf(input.value('reference'))['Repository'],
      differs: (ours) => String(membersOf(ours)['result']).endsWith('/'),
    },
  ],
  pins: {
    cases: 478,
    rules: {
      glob: 7,
      'identifier-pattern': 3,
      'image-layout': 10,
      'other-defaults': 3,
      'strict-mode': 1,
      'image-id': 2,
      'scheme-in-front': 7,
      'query-behind': 6,
      'whole-digests': 2,
      'registered-digests': 1,
      'empty-tag': 5,
      'names-up-to-255': 1,
      'hosts-of-urls': 4,
      'no-dot-behind-the-host': 3,
      'localhost-is-a-registry': 1,
      'docker.io-by-default': 1,
      'https-on-private-networks': 1,
      'references-name-repositories': 1,
    },
  },
});

function registryOf(ours: unknown): string | undefined {
  const { registry, hostname } = membersOf(ours);
  const found = registry ?? hostname;
  return typeof found === 'string' ? found : undefined;
}

/** The reference with a tag or digest put to it. */
function added(vector: Vector): unknown {
  const { input } = vector;
  const name = parseReference(input.text('ref'));
  const [tag, digest] = ['tag', 'digest'].map((part) =>
    typeof input.value(part) === 'string' ? input.text(part) : undefined,
  );
  const text = formatReference({
    ...name,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  });
  return validity(attempt(text), (reference) =>
    named(vector, { string: text.replace(formatReference(name), familiarName(reference)) }),
  );
}
