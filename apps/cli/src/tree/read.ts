/**
 * The commands that read from a registry, as they are written.
 *
 * Rules of this file: declarations; what a command does is in `commands/`, and loaded when it runs.
 */

import { type Command, Option } from 'commander';
import type { ApiOptions } from '../commands/api.ts';
import type { BlobOptions } from '../commands/blob.ts';
import type { CatalogOptions } from '../commands/catalog.ts';
import type { ManifestOptions } from '../commands/manifest.ts';
import type { TagsOptions } from '../commands/tags.ts';
import type { Context } from './act.ts';
import { outputOption, repeated, withNetwork } from './options.ts';

export function declareRead(root: Command, { surroundings, act }: Context): void {
  root.commandsGroup('Read:');

  withNetwork(
    root
      .command('tags')
      .description('Print the tags of a repository, one a line.')
      .argument('<repository>', 'like ghcr.io/o/app; at docker.io without a registry')
      .option('--last <tag>', 'begin after this one')
      .option('--limit <n>', 'stop after so many')
      .option('--include <pattern>', 'only tags in which this regular expression is found')
      .option('--exclude <pattern>', 'no tags in which this one is found')
      .addOption(outputOption(['text', 'json', 'ndjson'])),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg tags docker.io/library/busybox --limit 10
  reg tags ghcr.io/o/app --include '^[0-9]' --exclude rc -o json
  reg tags localhost:5000/team/app -u alice --password-stdin < password.txt`,
    )
    .action(
      act(async (repository: string, options: TagsOptions) => {
        const { tags } = await import('../commands/tags.ts');
        return tags(repository, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('catalog')
      .description('Print the repositories of a registry, one a line.')
      .argument('<registry>', 'like localhost:5000; most public ones have none')
      .option('--last <repository>', 'begin after this one')
      .option('--limit <n>', 'stop after so many')
      .addOption(outputOption(['text', 'json', 'ndjson'])),
  )
    .addHelpText('after', '\nExample:\n  reg catalog localhost:5000 --limit 100')
    .action(
      act(async (registry: string, options: CatalogOptions) => {
        const { catalog } = await import('../commands/catalog.ts');
        return catalog(registry, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('manifest')
      .description('Print the manifest of an image.')
      .argument('<reference>', 'like ghcr.io/o/app:1 or ghcr.io/o/app@sha256:…')
      .addOption(new Option('--raw', 'byte for byte, as the registry sent it').conflicts(['head', 'digest']))
      .addOption(
        new Option('--head', 'media type, size and digest; nothing is fetched').conflicts(['digest']),
      )
      .option('--digest', 'print its digest')
      .option('--platform <os/arch>', 'which of an index, like linux/arm64')
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg manifest docker.io/library/busybox:latest --platform linux/arm64
  reg manifest ghcr.io/o/app:1 --digest`,
    )
    .action(
      act(async (reference: string, options: ManifestOptions) => {
        const { manifest } = await import('../commands/manifest.ts');
        return manifest(reference, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('blob')
      .description('Fetch a blob, and verify its digest.')
      .argument('<reference>', 'like ghcr.io/o/app@sha256:…')
      .option('--out <file>', 'write a file, whole or not at all; `-` is stdout'),
  )
    .addHelpText('after', '\nExample:\n  reg blob ghcr.io/o/app@sha256:9c1… --out layer.tar.gz')
    .action(
      act(async (reference: string, options: BlobOptions) => {
        const { blob } = await import('../commands/blob.ts');
        return blob(reference, options, surroundings);
      }),
    );

  const api = root.command('api');
  // `--no-input`, which every command has, has the same name as far as the parser knows.
  let body: string | undefined;
  api.on('option:input', (file: string) => {
    body = file;
  });
  withNetwork(
    api
      .description('Send any request to a registry, with whatever token it needs.')
      .usage('[options] [method] <url|/v2/path>')
      .argument('[method]', 'default: GET, or POST with --input')
      .argument('[url|/v2/path]', 'like ghcr.io/v2/o/app/tags/list; a path with -R')
      .option('-R, --registry <registry>', 'the registry of a path')
      .option('-X, --method <method>', 'the method')
      .option('-H, --header <line>', 'a header, like "Accept: text/plain"; repeatable', repeated)
      .option('--input <file>', 'the body; `-` is stdin')
      .option('-i, --include', 'print the status line and headers too')
      .option('--paginate', 'follow the links to all pages')
      .option('--silent', 'do not print the body')
      .option('--scope <scope>', 'ask for this, whatever the URL needs; repeatable', repeated),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg api -i ghcr.io/v2/o/app/tags/list
  reg api -R localhost:5000 /v2/_catalog --paginate
  reg api -i -R localhost:5000 POST /v2/team/app/blobs/uploads/
  reg api DELETE localhost:5000/v2/team/app/manifests/sha256:9c1…`,
    )
    .action(
      act(async (first: string | undefined, second: string | undefined, options: ApiOptions) => {
        const { api } = await import('../commands/api.ts');
        return api(first, second, { ...options, input: body ?? options.input !== false }, surroundings);
      }),
    );
}
