/**
 * `reg manifest`: what a tag or digest names.
 *
 * Rules of this file: by default it is for people, and for programs that read JSON; byte for byte it is with `--raw` alone.
 */

import { endpoint, formatReference, type Reference, toVisible } from '@reg/core';
import {
  contentOf,
  entriesOf,
  entryFor,
  fetchManifest,
  headManifest,
  type Manifest,
  type ManifestHead,
  type Platform,
  platformsOf,
  platformText,
  readPlatform,
} from '../reading/manifest.ts';
import { type Again, againFor, type ReferenceTarget, referenceTarget } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import type { Surroundings } from '../surroundings.ts';
import { show } from '../writing/show.ts';
import { write } from '../writing/write.ts';

export interface ManifestOptions extends NetworkOptions {
  readonly raw?: boolean;
  readonly head?: boolean;
  readonly digest?: boolean;
  readonly platform?: string;
  readonly output: 'text' | 'json';
}

/** `reg manifest` */
export async function manifest(
  text: string,
  options: ManifestOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = referenceTarget(text, 'manifest', options);
  const { raw = false, output } = options;
  if (raw && output === 'json')
    throw usage('--raw prints bytes as they came, and -o json a document: one of them');
  const platform = options.platform === undefined ? null : readPlatform(options.platform);
  const again = againFor('manifest', target, options, ownFlags(options));
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    const found = await find({ client, target, platform, options, again, surroundings });
    if (raw && found.manifest !== null) await show(once(found.manifest.bytes), again.command, surroundings);
    else await write(render(found, options, again), surroundings);
  });
}

function ownFlags({ raw, head, digest, platform }: ManifestOptions): readonly string[] {
  return [
    ...(raw === true ? ['--raw'] : []),
    ...(head === true ? ['--head'] : []),
    ...(digest === true ? ['--digest'] : []),
    ...(platform === undefined ? [] : ['--platform', platform]),
  ];
}

interface Search {
  readonly client: Client;
  readonly target: ReferenceTarget;
  readonly platform: Platform | null;
  readonly options: ManifestOptions;
  readonly again: Again;
  readonly surroundings: Surroundings;
}

interface Found {
  readonly reference: Reference;
  readonly head: ManifestHead;
  /** `null` where only its head was asked for. */
  readonly manifest: Manifest | null;
}

async function find(search: Search): Promise<Found> {
  const { client, target, platform, options, again } = search;
  if (platform === null) return get(search, target.reference, target.url);
  const index = await fetchManifest(client, target.url, target.reference.digest, again);
  const entries = entriesOf(contentOf(index, again), again);
  if (entries === null) {
    if (options.quiet !== true) {
      search.surroundings.stderr.write(
        `reg: ${target.shown} is no index but one image: it is for the platform it was built for\n`,
      );
    }
    return { reference: target.reference, head: index, manifest: wantsHead(options) ? null : index };
  }
  const entry = entryFor(entries, platform);
  if (entry === null) throw absent(search, platform, platformsOf(entries));
  const { registry, repository } = target.reference;
  const reference = { registry, repository, digest: entry.digest };
  return get(
    search,
    reference,
    endpoint(reference, 'manifest', { insecure: target.url.protocol === 'http:' }),
  );
}

function absent({ target, options }: Search, wanted: Platform, offered: readonly string[]): Complaint {
  const [first] = offered;
  const message = `${target.shown} has nothing for ${platformText(wanted)}`;
  if (first === undefined)
    return new Complaint(exitCode.notFound, `${message}, and names no platform at all`);
  const flags = ownFlags({ ...options, platform: first });
  return new Complaint(exitCode.notFound, `${message}: it is for ${offered.join(', ')}`, {
    hint: againFor('manifest', target, options, flags).command,
  });
}

function wantsHead({ head = false, digest = false }: ManifestOptions): boolean {
  return head || digest;
}

async function get(search: Search, reference: Reference, url: URL): Promise<Found> {
  const { client, options, again } = search;
  const { digest } = reference;
  const head = wantsHead(options) ? await headManifest(client, url, digest, again) : null;
  // A digest can be computed where the registry does not say it; the manifest is then fetched for it.
  if (head !== null && (options.digest !== true || head.digest !== null)) {
    return { reference, head, manifest: null };
  }
  const manifest = await fetchManifest(client, url, digest, again);
  // What is told about a manifest is told about one.
  if (wantsHead(options)) contentOf(manifest, again);
  return { reference, head: manifest, manifest: wantsHead(options) ? null : manifest };
}

function render({ reference, head, manifest }: Found, options: ManifestOptions, again: Again): string {
  const { mediaType, size, digest } = head;
  if (options.output === 'json') {
    const content = manifest === null ? null : contentOf(manifest, again);
    const document = { reference: formatReference(reference), mediaType, size, digest, manifest: content };
    return jsonDocument(document);
  }
  if (manifest !== null) return jsonDocument(contentOf(manifest, again));
  if (options.digest === true) return `${digest}\n`;
  const lines = [
    ['media type', mediaType],
    ['size', size],
    ['digest', digest],
  ] as const;
  return lines
    .map(([name, value]) => `${name.padEnd(12)}${toVisible(String(value ?? 'not said'))}\n`)
    .join('');
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
