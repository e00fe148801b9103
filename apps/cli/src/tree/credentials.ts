/**
 * The commands that keep credentials, as they are written.
 *
 * Rules of this file: declarations; what a command does is in `commands/`, and loaded when it runs.
 */

import { type Command, Option } from 'commander';
import type { CredentialOptions } from '../commands/credential.ts';
import type { CredentialInstallOptions } from '../commands/credential-install.ts';
import type { LoginOptions } from '../commands/login.ts';
import type { LogoutOptions } from '../commands/logout.ts';
import type { StatusOptions } from '../commands/status.ts';
import type { TrustOptions } from '../commands/trust.ts';
import type { Context } from './act.ts';
import { outputOption, withCommon, withConnection, withFiles, withGiven, withTrust } from './options.ts';

export function declareCredentials(root: Command, { surroundings, act }: Context): void {
  root.commandsGroup('Credentials:');

  const login = root
    .command('login')
    .description('Verify a credential for a registry, and store it.')
    .argument('<registry>', 'like ghcr.io or registry.example:5000');
  withGiven(login).addOption(
    new Option('--identity-token-stdin', 'read an identity (refresh) token from stdin').conflicts([
      'username',
      'passwordStdin',
      'passwordFile',
    ]),
  );
  withConnection(withFiles(withTrust(login)));
  withCommon(
    login
      .optionsGroup('Login:')
      .option('--scope <scope>', 'verify for this too, like repository:o/app:pull,push')
      .option('--no-verify', 'store it without asking the registry')
      .option('--store <where>', '`file`, or `helper:NAME` for docker-credential-NAME')
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg login ghcr.io -u alice                       # asks for the password
  reg login ghcr.io -u alice --password-stdin < token.txt
  reg login docker.io -u alice --password-file token.txt`,
    )
    .action(
      act(async (registry: string, options: LoginOptions) => {
        const { login } = await import('../commands/login.ts');
        return login(registry, options, surroundings);
      }),
    );

  withCommon(
    withFiles(
      root
        .command('logout')
        .description('Forget the credential of a registry, wherever it is stored.')
        .argument('[registry...]', 'as they were given to login')
        .option('--all', 'every registry that is stored')
        .option('--purge-cache', 'and the tokens in the cache')
        .addOption(outputOption(['text', 'json'])),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg logout ghcr.io
  reg logout --all --purge-cache`,
    )
    .action(
      act(async (registries: readonly string[], options: LogoutOptions) => {
        const { logout } = await import('../commands/logout.ts');
        return logout(registries, options, surroundings);
      }),
    );

  const status = root
    .command('status')
    .alias('whoami')
    .description('Show every stored credential: where it is, what it shadows, when it expires.')
    .argument('[registry]', 'this one only')
    .option('--check', 'try each credential at its registry')
    .addOption(outputOption(['text', 'json']));
  withCommon(withConnection(withFiles(withTrust(status))))
    .addHelpText(
      'after',
      `
Examples:
  reg status
  reg status ghcr.io --check -o json`,
    )
    .action(
      act(async (registry: string | undefined, options: StatusOptions) => {
        const { status } = await import('../commands/status.ts');
        return status(registry, options, surroundings);
      }),
    );

  const credential = root
    .command('credential')
    .description("Speak the protocol of Docker's credential helpers; install itself as one.");
  credential.helpCommand(false).addHelpText('after', '\nExample:\n  echo ghcr.io | reg credential get');
  for (const [name, description, example] of [
    ['get', 'Print the credential of the registry on stdin, as JSON.', 'echo ghcr.io | reg credential get'],
    ['store', 'Store the credential on stdin, as JSON.', 'reg credential store < credential.json'],
    ['erase', 'Forget the credential of the registry on stdin.', 'echo ghcr.io | reg credential erase'],
    ['list', 'Print the user name of each registry, as JSON.', 'reg credential list'],
  ] as const) {
    withCommon(withFiles(credential.command(name).description(description)))
      .addHelpText('after', `\nExample:\n  ${example}`)
      .action(
        act(async (options: CredentialOptions) => {
          const { credential } = await import('../commands/credential.ts');
          return credential(name, options, surroundings);
        }),
      );
  }
  withCommon(
    withFiles(
      credential
        .command('install')
        .description("Make Docker and Podman ask this command for a registry's credential.")
        .argument('<registry>', 'like ghcr.io')
        .option('--as <name>', 'the helper `docker-credential-NAME` to enter', 'reg')
        .addOption(new Option('--dry-run', 'show the change, and leave it at that').conflicts(['yes']))
        .option('-y, --yes', 'make the change without asking'),
    ),
  )
    .addHelpText(
      'after',
      `
Examples:
  reg credential install ghcr.io --dry-run
  reg credential install ghcr.io --yes`,
    )
    .action(
      act(async (registry: string, options: CredentialInstallOptions) => {
        const { installCredentialHelper } = await import('../commands/credential-install.ts');
        return installCredentialHelper(registry, options, surroundings);
      }),
    );

  const trust = root
    .command('trust')
    .description('Which token servers may see the credentials of which registry, beyond what is known.');
  trust.helpCommand(false).addHelpText('after', '\nExample:\n  reg trust list');
  withCommon(
    trust
      .command('list')
      .description('Print what was added.')
      .addOption(outputOption(['text', 'json'])),
  )
    .addHelpText('after', '\nExample:\n  reg trust list')
    .action(
      act(async (options: TrustOptions) => {
        const { listTrust } = await import('../commands/trust.ts');
        return listTrust(options, surroundings);
      }),
    );
  for (const [name, description] of [
    ['add', 'Let a token server see the credentials of a registry.'],
    ['remove', 'Take that back.'],
  ] as const) {
    withCommon(
      trust
        .command(name)
        .description(description)
        .argument('<registry>', 'like registry.example')
        .argument('<realm>', 'the origin of its token server, like https://auth.example'),
    )
      .addHelpText('after', `\nExample:\n  reg trust ${name} registry.example https://auth.example`)
      .action(
        act(async (registry: string, realm: string, options: TrustOptions) => {
          const { changeTrust } = await import('../commands/trust.ts');
          return changeTrust(name, registry, realm, options, surroundings);
        }),
      );
  }
}
