/**
 * The `reg` command and its tree.
 *
 * Rules of this file: it parses. All else is loaded when a command runs or fails, so that `--help` costs a parser and
 * nothing else.
 */

import { Command, CommanderError } from 'commander';
import { type ExitCode, exitCode } from './report/exit-code.ts';
import type { Surroundings } from './surroundings.ts';
import type { Action } from './tree/act.ts';
import { declareCredentials } from './tree/credentials.ts';
import { declareHousekeeping } from './tree/housekeeping.ts';
import { declareRead } from './tree/read.ts';
import { declareUnderstand } from './tree/understand.ts';
import { version } from './version.ts';

/**
 * The command in its surroundings.
 *
 * @returns runs it with the arguments after the program's name, and resolves with its exit code. Never rejects.
 */
export function program(surroundings: Surroundings): (args: readonly string[]) => Promise<number> {
  return async (args) => {
    let code: ExitCode = exitCode.ok;
    const root = tree(surroundings, (ended) => {
      code = ended;
    });
    try {
      await root.parseAsync(args, { from: 'user' });
      return code;
    } catch (error) {
      // Help and version were asked for and printed.
      if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
      const { report } = await import('./report/report.ts');
      return report(error, { help: helpFor(root, args), args }, surroundings);
    }
  };
}

/** The whole tree, without an action having run. */
export function tree(surroundings: Surroundings, ended: (code: ExitCode) => void): Command {
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
  reg login ghcr.io -u alice              # verified, then stored
  reg doctor ghcr.io/o/app --push         # why it does not work, and the fix
  reg trace docker.io/library/busybox     # every step to its tags, explained

More: reg help exit-codes, reg help environment, reg help auth-files`,
    );
  const context = {
    surroundings,
    act:
      <A extends readonly unknown[]>(action: Action<A>) =>
      async (...args: A) => {
        const code = await action(...args);
        if (code !== undefined) ended(code);
      },
  };
  declareCredentials(root, context);
  declareUnderstand(root, context);
  declareRead(root, context);
  declareHousekeeping(root, context);
  return root;
}

/** Help stays readable on a wide terminal, and is not cut for a narrow one. */
function helpWidth(columns: number | undefined): number {
  return Math.min(Math.max(columns ?? 80, 60), 100);
}

/** Without a better one: how the command is used. */
function helpFor(root: Command, args: readonly string[]): string {
  let command = root;
  for (const arg of args) {
    const next = command.commands.find((one) => one.name() === arg || one.aliases().includes(arg));
    if (next === undefined) break;
    command = next;
  }
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  return `${names.join(' ')} --help`;
}
