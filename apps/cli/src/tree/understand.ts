/**
 * The commands that show what goes on, as they are written.
 *
 * Rules of this file: declarations; what a command does is in `commands/`, and loaded when it runs.
 */

import { type Command, Option } from 'commander';
import type { DoctorOptions } from '../commands/doctor.ts';
import type { PingOptions } from '../commands/ping.ts';
import type { RatelimitOptions } from '../commands/ratelimit.ts';
import type { TokenOptions } from '../commands/token.ts';
import type { TraceOptions } from '../commands/trace.ts';
import type { Context } from './act.ts';
import { traceFormats } from './names.ts';
import { outputOption, repeated, withCommon, withConnection, withNetwork } from './options.ts';

export function declareUnderstand(root: Command, { surroundings, act }: Context): void {
  root.commandsGroup('Understand:');

  withNetwork(
    root
      .command('trace')
      .description('Send one request and print the whole handshake, each step explained.')
      .argument('[reference|url]', 'an image, a repository (its tags are asked for), or a URL')
      .option('--push', 'begin an upload, as a push does, and take it back')
      .option('--scope <scope>', 'ask for a token for this and send nothing else; repeatable', repeated)
      .addOption(outputOption(traceFormats))
      .option('--out <file>', 'write it to this file, whole or not at all')
      .addOption(
        new Option(
          '--replay <file>',
          'print a trace that -o json wrote, or - for stdin; nothing is sent',
        ).conflicts(['push', 'scope']),
      )
      .option('--show-claims', 'print what is in the token, without its signature'),
  )
    .addHelpText(
      'after',
      `
Text shows what bears on authorization; with -v every header and the beginning
of each body. -o curl is a shell script that takes the password from its
environment. No form has a secret in it. What --push began is taken back by a
DELETE; where the registry refuses that, it forgets the upload after a while.

Examples:
  reg trace docker.io/library/busybox
  reg trace ghcr.io/o/app:1 --push -o mermaid
  reg trace https://registry.example/v2/ -o har --out auth.har
  reg trace --replay trace.json -o curl`,
    )
    .action(
      act(async (about: string | undefined, options: TraceOptions) => {
        const { trace } = await import('../commands/trace.ts');
        return trace(about, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('doctor')
      .description('Find out why a registry cannot be used, and what to do about it.')
      .argument('<reference|registry>', 'an image, a repository, or a registry')
      .option('--offline', 'look at this machine only')
      .option('--push', 'check what a push needs too; the upload it begins is taken back')
      .option('--browser <origin>', 'check what a web page at this origin needs too')
      .option('--only <check>', 'run this check and what it needs; repeatable', repeated)
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg doctor ghcr.io/o/app --push
  reg doctor registry.example --offline
  reg doctor registry.example/team/app --only tls.chain -o json

Checks:
  config.read        creds.source       creds.helper       creds.duplicates
  creds.expiry       proxy.route        dns.resolve        tcp.connect
  tls.chain          v2.ping            challenge.parse    challenge.realm
  realm.reach        creds.accepted     clock.skew         scope.grant
  repository.access  rate.limit         upload.location    cors.headers`,
    )
    .action(
      act(async (about: string, options: DoctorOptions) => {
        const { doctor } = await import('../commands/doctor.ts');
        return doctor(about, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('token')
      .description('Print a token for a repository, to use with curl.')
      .argument('<reference|registry>', 'an image, a repository, or a registry')
      .option('--push', 'ask for what a push needs')
      .option('--scope <scope>', 'ask for this, like repository:o/app:pull,push; repeatable', repeated)
      .option('--mount <repository>', 'and what mounting blobs from it needs; repeatable', repeated)
      .addOption(new Option('-H, --header', 'print the whole header line').conflicts(['inspect']))
      .option('--inspect', 'print what is in the token, and asked against granted, not the token')
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText(
      'after',
      `
A registry that asks for nothing gets none, and nothing is printed. One that
takes Basic has no tokens: -H prints its header, with the password in it. What
was asked for and not granted is an error, after the token is printed.

Examples:
  reg token ghcr.io/o/app --inspect
  curl -H "$(reg token ghcr.io/o/app -H)" https://ghcr.io/v2/o/app/tags/list`,
    )
    .action(
      act(async (about: string, options: TokenOptions) => {
        const { token } = await import('../commands/token.ts');
        return token(about, options, surroundings);
      }),
    );

  withCommon(
    withConnection(
      root
        .command('ping')
        .description('Ask registries whether they are there, and whom they want to see.')
        .argument('<registry...>', 'like ghcr.io')
        .option('--count <n>', 'ask that often', '1')
        .option('--max-time <seconds>', 'fail where an answer takes longer')
        .addOption(outputOption(['text', 'json', 'ndjson'])),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg ping docker.io ghcr.io
  reg ping registry.example --count 5 --max-time 10 -o ndjson`,
    )
    .action(
      act(async (registries: readonly string[], options: PingOptions) => {
        const { ping } = await import('../commands/ping.ts');
        return ping(registries, options, surroundings);
      }),
    );

  withNetwork(
    root
      .command('ratelimit')
      .description('Show what is left of the rate limit, with and without your credential.')
      .argument('[repository]', 'default: the one that Docker Hub has for this')
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText('after', '\nExamples:\n  reg ratelimit\n  reg ratelimit docker.io/library/busybox -o json')
    .action(
      act(async (repository: string | undefined, options: RatelimitOptions) => {
        const { ratelimit } = await import('../commands/ratelimit.ts');
        return ratelimit(repository, options, surroundings);
      }),
    );
}
