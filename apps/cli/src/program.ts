/**
 * The `reg` command: parse, decide, render, write.
 *
 * Rules of this file: it parses and writes. What is decided and how it is rendered is in the file of each command, loaded when
 * the command runs, so that `--help` costs a parser and nothing else. stdout gets data, stderr gets talk.
 */

import { Command, Option } from 'commander';
import { type Again, againFor, type Target, tagsTarget, traceTarget } from './argument.ts';
import { exitCode } from './exit-code.ts';
import { givenCredential, type NetworkOptions, readOrigin } from './options.ts';
import { paintFor, widthOf } from './paint.ts';
import { report } from './report.ts';
import type { Surroundings } from './surroundings.ts';
import { type TraceFormat, traceFormats } from './trace-format.ts';
import { version } from './version.ts';

/**
 * The command in its surroundings.
 *
 * @returns runs it with the arguments after the program's name, and resolves with its exit code. Never rejects.
 */
export function program(surroundings: Surroundings): (args: readonly string[]) => Promise<number> {
  return async (args) => {
    const root = tree(surroundings);
    try {
      await root.parseAsync(args, { from: 'user' });
      return exitCode.ok;
    } catch (error) {
      return report(error, helpFor(root, args), surroundings);
    }
  };
}

function tree(surroundings: Surroundings): Command {
  const { stdout, stderr } = surroundings;
  const root = new Command('reg')
    .description('See, explain and use the authentication of container registries.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      // Said by `report`, with a hint.
      outputError: () => {},
      getOutHelpWidth: () => helpWidth(stdout.columns),
      getErrHelpWidth: () => helpWidth(stderr.columns),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      `
Examples:
  reg trace docker.io/library/busybox     # every step to its tags, explained
  reg tags ghcr.io/o/app -u alice --password-stdin < token.txt

Credentials are those of \`docker login\` and \`podman login\`, unless -u gives one.

Exit codes:
  0 done    1 unexpected    2 usage    3 not found    4 not authenticated
  5 denied    6 unreachable    7 rate limited    8 credential file or helper
  9 the registry does not keep to the protocol`,
    );

  withNetwork(root.command('tags'))
    .description('Print the tags of a repository, one a line.')
    .argument('<repository>', 'like ghcr.io/o/app; without a registry it is at docker.io')
    .addHelpText(
      'after',
      `
Examples:
  reg tags docker.io/library/busybox
  reg tags localhost:5000/team/app -u alice --password-stdin < password.txt`,
    )
    .action(async (repository: string, options: NetworkOptions) => {
      await runTags(runOf('tags', tagsTarget(repository, options), options), surroundings);
    });

  withNetwork(root.command('trace'))
    .description('Send one request and print the whole handshake, each step explained.')
    .argument('<reference|url>', 'an image, a repository (its tags are asked for), or a URL')
    .addOption(
      new Option('-o, --output <format>', 'how to print it').choices(traceFormats).default(traceFormats[0]),
    )
    .addHelpText(
      'after',
      `
Examples:
  reg trace docker.io/library/busybox
  reg trace ghcr.io/o/app:1 -o mermaid
  reg trace https://registry.example/v2/ -o har > auth.har`,
    )
    .action(async (about: string, options: NetworkOptions & { readonly output: TraceFormat }) => {
      const run = runOf('trace', traceTarget(about, options), options);
      await runTrace(run, options.output, surroundings);
    });
  return root;
}

function withNetwork(command: Command): Command {
  return command
    .helpOption('-h, --help', 'print this help')
    .optionsGroup('Credential:')
    .option('-u, --username <name>', 'user name; its password comes from stdin or $REG_PASSWORD')
    .option('--password-stdin', 'read the password from stdin')
    .addOption(
      new Option('--anonymous', 'use no credential, whatever is stored').conflicts([
        'username',
        'passwordStdin',
      ]),
    )
    .option(
      '--trust-realm <origin>',
      'a token server that may see the credential, like https://auth.example; repeatable',
      (origin: string, before: readonly string[] = []) => [...before, readOrigin(origin)],
    )
    .optionsGroup('Connection:')
    .option('--plain-http', 'speak http, and send credentials over it')
    .option('-k, --insecure', 'take any TLS certificate')
    .option('--ca-file <file>', 'trust the authorities in this PEM file, and no others')
    .optionsGroup('Other:');
}

/** Help stays readable on a wide terminal, and is not cut for a narrow one. */
function helpWidth(columns: number | undefined): number {
  return Math.min(Math.max(columns ?? 80, 60), 100);
}

/** Without a better one: how the command is used. */
function helpFor(root: Command, [name]: readonly string[]): string {
  const command = root.commands.find((one) => one.name() === name);
  return command === undefined ? 'reg --help' : `reg ${command.name()} --help`;
}

/** One command line, read. */
interface Run {
  readonly target: Target;
  readonly options: NetworkOptions;
  readonly again: Again;
}

function runOf(name: string, target: Target, options: NetworkOptions): Run {
  return { target, options, again: againFor(name, target, options) };
}

async function runTags(run: Run, surroundings: Surroundings): Promise<void> {
  const { renderTags, tagPages } = await import('./tags.ts');
  const client = await clientFor(run, surroundings, false);
  try {
    for await (const page of tagPages(client, run.target.url, run.again)) {
      surroundings.stdout.write(renderTags(page));
    }
  } finally {
    client.close();
  }
}

async function runTrace(run: Run, format: TraceFormat, surroundings: Surroundings): Promise<void> {
  const { stdout, env } = surroundings;
  const { renderTrace, trace } = await import('./trace.ts');
  const client = await clientFor(run, surroundings, true);
  try {
    const { transcript, complaint } = await trace(client, run.target.url, run.again);
    stdout.write(renderTrace(transcript, format, { paint: paintFor(stdout, env), width: widthOf(stdout) }));
    if (complaint !== null) throw complaint;
  } finally {
    client.close();
  }
}

async function clientFor({ target, options, again }: Run, surroundings: Surroundings, bodies: boolean) {
  const { openClient } = await import('./client.ts');
  const given = await givenCredential(options, surroundings, again.command);
  if (target.short !== null) surroundings.stderr.write(`reg: ${target.short} is short for ${target.shown}\n`);
  return openClient({ registry: target.url, options, given, surroundings, bodies });
}
