/**
 * The commands about this command, as they are written.
 *
 * Rules of this file: declarations; what a command does is in `commands/`, and loaded when it runs.
 */

import { Argument, type Command } from 'commander';
import type { CacheOptions } from '../commands/cache.ts';
import type { CommonOptions } from '../registry/options.ts';
import type { Context } from './act.ts';
import { type Shell, shells } from './names.ts';
import { outputOption, withCommon } from './options.ts';

export function declareHousekeeping(root: Command, { surroundings, act }: Context): void {
  root.commandsGroup('Housekeeping:');

  const cache = root.command('cache').description('Look at the tokens that are kept, or forget them.');
  cache.helpCommand(false).addHelpText('after', '\nExample:\n  reg cache ls');
  for (const [name, description] of [
    ['ls', 'Print what is kept: for which registry, whose, until when. Never a token.'],
    ['clear', 'Forget it, of one registry or of all.'],
    ['path', 'Print the folder it is kept in.'],
  ] as const) {
    const command = cache.command(name).description(description);
    if (name === 'clear') command.argument('[registry]', 'of this one only');
    if (name === 'ls') command.addOption(outputOption(['text', 'json']));
    withCommon(command)
      .addHelpText('after', `\nExample:\n  reg cache ${name}`)
      .action(
        act(async (...args: readonly unknown[]) => {
          const { cache } = await import('../commands/cache.ts');
          const registry = name === 'clear' && typeof args[0] === 'string' ? args[0] : undefined;
          return cache(name, registry, command.opts<CacheOptions>(), surroundings);
        }),
      );
  }

  withCommon(
    root
      .command('demo')
      .description('Show a whole handshake, on a registry that lives as long as this command.'),
  )
    .addHelpText('after', '\nExample:\n  reg demo')
    .action(
      act(async (options: CommonOptions) => {
        const { demo } = await import('../commands/demo.ts');
        return demo(options, surroundings);
      }),
    );

  withCommon(
    root
      .command('completion')
      .description('Print what makes a shell complete this command.')
      .addArgument(new Argument('<shell>', 'whose').choices(shells)),
  )
    .addHelpText(
      'after',
      `
Examples:
  source <(reg completion bash)     # in ~/.bashrc
  source <(reg completion zsh)      # in ~/.zshrc, behind compinit
  reg completion fish > ~/.config/fish/completions/reg.fish`,
    )
    .action(
      act(async (shell: Shell) => {
        const { completion } = await import('../commands/completion.ts');
        return completion(shell, surroundings);
      }),
    );

  withCommon(
    root
      .command('help')
      .description('Print help: of a command, or about exit-codes, environment or auth-files.')
      .argument('[topic...]', 'a command, or one of exit-codes, environment, auth-files'),
  )
    .addHelpText('after', '\nExamples:\n  reg help login\n  reg help credential get\n  reg help exit-codes')
    .action(
      act(async (topic: readonly string[]) => {
        const { help } = await import('../commands/help.ts');
        return help(topic, root, surroundings);
      }),
    );
}
