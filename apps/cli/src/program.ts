/**
 * The `reg` command and its tree.
 *
 * Rules of this file: it parses. All else is loaded when a command runs or fails, so that `--help` costs a parser and
 * nothing else.
 */

import { Command, CommanderError, Option } from 'commander';
import { type TraceFormat, traceFormats } from './commands/trace-format.ts';
import type { NetworkOptions } from './registry/options.ts';
import { exitCode } from './report/exit-code.ts';
import type { Surroundings } from './surroundings.ts';
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
      // Help and version were asked for and printed.
      if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
      const { report } = await import('./report/report.ts');
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

Credentials are those that \`docker login\` left, unless -u gives one.

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
      const { tags } = await import('./commands/actions.ts');
      await tags(repository, options, surroundings);
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
      const { trace } = await import('./commands/actions.ts');
      await trace(about, options, surroundings);
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
      (origin: string, before: readonly string[] = []) => [...before, origin],
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
