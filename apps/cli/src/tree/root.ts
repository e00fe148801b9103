/**
 * The whole tree of commands, and how their help looks.
 *
 * Rules of this file: declarations; nothing runs. Help is text for 80 columns, and wider only where the terminal is.
 */

import { type Argument, Command, type Option } from 'commander';
import type { ExitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';
import { version } from '../version.ts';
import type { Action } from './act.ts';
import { declareCredentials } from './credentials.ts';
import { declareHousekeeping } from './housekeeping.ts';
import { Listed } from './listed.ts';
import { declareRead } from './read.ts';
import { declareUnderstand } from './understand.ts';

/** Where what the tree has to say goes. */
export interface Page {
  /** Help and version that were asked for. */
  out(text: string): void;
  /** Help that was not. */
  err(text: string): void;
}

/** The tree, of which no more is declared than a command line that begins like this one needs. */
export function treeFor(
  args: readonly string[],
  surroundings: Surroundings,
  page: Page,
  ended: (code: ExitCode) => void,
): Command {
  const name = args.find((arg) => !arg.startsWith('-'));
  const root = tree(surroundings, page, ended, name ?? '');
  // An alias, a typo, or `help`, which may be about any command.
  const whole = name === 'help' || (name !== undefined && !root.commands.some((one) => one.name() === name));
  return whole ? tree(surroundings, page, ended) : root;
}

/**
 * `reg`, not parsed yet.
 *
 * @param ended told the exit code of an action that has one of its own
 * @param only the command that is declared whole, the others being `Listed`. Default: all are
 */
export function tree(
  surroundings: Surroundings,
  page: Page,
  ended: (code: ExitCode) => void,
  only?: string,
): Command {
  const { stdout } = surroundings;
  const root = new Command('reg')
    .description('See, explain and use the authentication of container registries.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .hook('preAction', (_, command) => {
      // Where what went wrong is JSON it is all that stderr holds, so that a program can read it; but `-v` asks for talk.
      const { output, verbose } = command.opts();
      if ((output === 'json' || output === 'ndjson') && verbose === 0) command.setOptionValue('quiet', true);
    })
    .configureHelp({
      minWidthToWrap: 20,
      // What a command takes is in its own help.
      subcommandTerm: (command) => command.name(),
      optionDescription: (option) => described(option, option.required),
      argumentDescription: (argument) => described(argument, false),
    })
    .configureOutput({
      writeOut: (text) => page.out(text),
      writeErr: (text) => page.err(text),
      // Said by `report`, with a hint.
      outputError: () => {},
      getOutHelpWidth: () => helpWidth(stdout.columns),
      getErrHelpWidth: () => helpWidth(surroundings.stderr.columns),
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
  if (only !== undefined) {
    root.createCommand = (name) => (name === only ? new Command(name) : new Listed(name));
  }
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

/** `how to print it (text or json; default text)`. */
function described(
  { description, argChoices = [], defaultValue }: Option | Argument,
  takesValue: boolean,
): string {
  const last = argChoices.at(-1);
  const choices = last === undefined ? [] : [[argChoices.slice(0, -1).join(', '), last].join(' or ')];
  const preset = takesValue && typeof defaultValue === 'string' ? [`default ${defaultValue}`] : [];
  const notes = [...choices, ...preset].join('; ');
  return notes === '' ? description : `${description} (${notes})`;
}

/** Help stays readable on a wide terminal, and is not cut for a narrow one. */
function helpWidth(columns: number | undefined): number {
  return Math.min(Math.max(columns ?? 80, 60), 100);
}
