/**
 * The options that commands share.
 *
 * Rules of this file: parsing only. One name means one thing on every command; a secret is never the value of an option, since
 * every process of the machine can read the arguments of every other.
 */

import { type Command, Option } from 'commander';

/** The groups of a command's help, in their order. */
const credentialGroup = 'Credential:';
const connectionGroup = 'Connection:';
const otherGroup = 'Other:';

/** What every command takes. Called last, so that its group comes last in the help. */
export function withCommon(command: Command): Command {
  return command
    .optionsGroup(otherGroup)
    .option('-q, --quiet', 'say nothing on stderr but what went wrong')
    .option(
      '-v, --verbose',
      'tell each request on stderr; twice: headers too',
      (_, before: number) => before + 1,
      0,
    )
    .addOption(new Option('--color <when>', 'colours').choices(['auto', 'always', 'never']).default('auto'))
    .option('--no-input', 'never ask; what is missing is an error')
    .helpOption('-h, --help', 'print this help');
}

/** What every command takes that talks to a registry: as whom, and how to connect. */
export function withNetwork(command: Command): Command {
  withConnection(withCredential(command)).option('--no-cache', 'use no token that is kept, and keep none');
  return withCommon(command);
}

/** Which credential to use, and where it may go. */
function withCredential(command: Command): Command {
  return withFiles(
    withTrust(
      withGiven(command).addOption(
        new Option('--anonymous', 'use no credential, whatever is stored').conflicts([
          'username',
          'passwordStdin',
          'passwordFile',
        ]),
      ),
    ),
  );
}

/** A user name and where its password is. */
export function withGiven(command: Command): Command {
  return command
    .optionsGroup(credentialGroup)
    .option('-u, --username <name>', 'user name; its password: below, or $REG_PASSWORD')
    .option('--password-stdin', 'read the password from stdin')
    .addOption(
      new Option('--password-file <file>', 'read the password from a file').conflicts(['passwordStdin']),
    );
}

/** Where credentials are kept. */
export function withFiles(command: Command): Command {
  return command
    .optionsGroup(credentialGroup)
    .option('--config <folder>', "the folder of Docker's config.json")
    .addOption(
      new Option('--authfile <file>', 'look for credentials in this file and no other').conflicts(['config']),
    );
}

/** Where a credential may go beyond what is known. */
export function withTrust(command: Command): Command {
  return command
    .optionsGroup(credentialGroup)
    .option('--trust-realm <origin>', 'token server that may see the credential; repeatable', repeated);
}

/** How to connect. */
export function withConnection(command: Command): Command {
  return command
    .optionsGroup(connectionGroup)
    .option('--plain-http', 'speak http, and send credentials over it')
    .option('-k, --insecure', 'take any TLS certificate of the registry, and of --trust-realm')
    .option('--ca-file <file>', 'trust the authorities in this PEM file alone')
    .option('--cert <file>', 'client certificate, PEM; with --key')
    .option('--key <file>', 'its key, PEM; with --cert')
    .option('--resolve <host:port:ip>', 'connect there, whatever DNS says; repeatable', repeated)
    .option('--timeout <seconds>', 'give up on a request without progress')
    .option('--retries <count>', 'how often to repeat a token request that fails');
}

/** An option whose values add up. */
export function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** `-o`, with the forms of this command; the first is the default. */
export function outputOption(formats: readonly [string, ...string[]]): Option {
  return new Option('-o, --output <format>', 'how to print it').choices(formats).default(formats[0]);
}
