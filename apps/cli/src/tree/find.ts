/** Commands in the tree, and what they are called. */

import type { Command } from 'commander';

/** The command that `words` begin with, as deep as they are names, and how many of them are. */
export function commandAt(
  root: Command,
  words: readonly string[],
): { readonly command: Command; readonly depth: number } {
  let command = root;
  for (const [depth, word] of words.entries()) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) return { command, depth };
    command = next;
  }
  return { command, depth: words.length };
}

/** `reg cache clear`. */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
