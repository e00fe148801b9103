/**
 * A command of which only its name and description are wanted.
 *
 * Rules of this file: to declare the options of every command takes as long as all else that `--help` does, and at most one
 * of them is run; the others leave out what they would be told. Their declarations do not notice.
 */

import { Command } from 'commander';

export class Listed extends Command {
  override createCommand(name?: string): Command {
    return new Listed(name);
  }

  override option(): this {
    return this;
  }

  override addOption(): this {
    return this;
  }

  override helpOption(): this {
    return this;
  }

  override addHelpText(): this {
    return this;
  }

  override action(): this {
    return this;
  }
}
