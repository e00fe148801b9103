/**
 * `reg login`: a credential is tried, and kept if the registry takes it.
 *
 * Rules of this file: nothing is stored, no trust either, before the registry has accepted the credential; what that proves is
 * said, and so is when it proves nothing. The password is asked for once it is known that there is a registry.
 */

import {
  type Credential,
  endpoint,
  type Failure,
  formatScopes,
  isRegistryAuthError,
  parseScopes,
  type RealmPair,
  toVisible,
} from '@reg/core';
import { anonymousKeychain, type Keychain } from '@reg/core/driver';
import { readClaims } from '@reg/core/transcript';
import { addTrust, TrustError, trustFile } from '@reg/node/network';
import { CredentialsError, defaultKeychain, eraseCredential, saveCredential } from '../credentials/keep.ts';
import { type Named, namedTarget } from '../credentials/name.ts';
import { exposureOf, type Place, placeFor, shownPlace } from '../credentials/place.ts';
import { ownFileFor, ownProgram } from '../credentials/stored.ts';
import {
  type Anonymous,
  askAnonymously,
  holderOf,
  type Open,
  type Verified,
  verify,
} from '../credentials/verify.ts';
import { complaintAbout, complaintAboutPage, complaintFrom } from '../registry/answer.ts';
import { type Again, againFor, isUrl, registryIn } from '../registry/argument.ts';
import { type Client, openClient } from '../registry/client.ts';
import { givenCredential, passwordFrom } from '../registry/given.ts';
import type { CommonOptions, ConnectionOptions, FileOptions, GivenOptions } from '../registry/options.ts';
import { ownerOf } from '../registry/owner.ts';
import { readScopes } from '../registry/values.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode, isMendedByTrust } from '../report/exit-code.ts';
import { jsonDocument } from '../report/json.ts';
import { quote } from '../report/shell.ts';
import { bareUrl } from '../report/url.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Paint, paintFor } from '../terminal/paint.ts';
import { progressFor } from '../terminal/progress.ts';
import { extentOf, grantIn } from '../token/granted.ts';
import { tokenIn } from '../token/report.ts';

export interface LoginOptions extends GivenOptions, FileOptions, ConnectionOptions, CommonOptions {
  readonly identityTokenStdin?: boolean;
  readonly scope?: string;
  /** False with `--no-verify`. */
  readonly verify?: boolean;
  readonly store?: string;
  readonly output: 'text' | 'json';
}

/** `reg login` */
export async function login(
  registry: string,
  options: LoginOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const { env, stdout, stderr } = surroundings;
  const place = placeFor(options, env);
  const target = namedTarget(registry, options, place.flavor);
  const helper = readStore(options.store);
  const scopes = readScope(options, target);
  const task = taskFor({ target, options, scopes, surroundings });

  const anonymous = options.verify === false ? null : await probe(task);
  const { credential, source } = await readCredential(task);
  const holder = holderOf(target.url.origin, credential, source);
  // A name that was typed is not asked for again.
  const named: Task =
    credential.type === 'password'
      ? taskFor({ ...task, options: { ...options, username: credential.username } })
      : task;
  const checked = anonymous === null ? null : await check(named, holder, anonymous);
  const stored = await store(named, holder.credential, place, helper, checked?.trusted ?? null);

  const entered: Entered = {
    registry: target.name,
    username: credential.type === 'password' ? credential.username : null,
    type: credential.type === 'password' ? 'password' : 'identity',
    checked,
    ...stored,
  };
  const paint = paintFor(stdout, env, options.color);
  stdout.write(
    options.output === 'json' ? jsonDocument(loginJson(entered)) : renderLogin(entered, env, paint),
  );
  if (options.output === 'text' && options.quiet !== true) {
    stderr.write(`next: ${doctorFor(target, options)}\n`);
  }
  if (options.store === 'file') await forgetOwn(target, options, surroundings);
  const shadow = await shadowOf(target, options, surroundings);
  const exposure = stored.helper === null ? await exposureOf(stored.path, env) : null;
  for (const warning of [shadow, exposure]) {
    if (warning !== null && options.quiet !== true) stderr.write(`warning: ${warning}\n`);
  }
}

/** One command line, read. */
interface Task {
  readonly target: Named;
  readonly options: LoginOptions;
  /** Its `login` is this one, as whom it was tried. */
  readonly again: Again;
  /** What to verify for beside `/v2/`. */
  readonly scopes: { readonly text: string; readonly url: URL } | null;
  readonly surroundings: Surroundings;
}

function taskFor(given: Omit<Task, 'again'>): Task {
  const { target, options } = given;
  const again = againFor('login', target, options);
  return { ...given, again: { ...again, login: `${again.command}${asWhom(options)}` } };
}

/** What came of verifying. */
interface Checked {
  readonly verified: Verified;
  readonly anonymous: Anonymous;
  /** Scopes that were asked for and granted; `null` when none were asked for, or the registry does not say. */
  readonly scope: { readonly asked: string; readonly granted: string | null } | null;
  /** What the operator agreed to, and is remembered with the credential. */
  readonly trusted: RealmPair | null;
}

interface Stored {
  readonly path: string;
  readonly key: string;
  /** `pass` for `docker-credential-pass`; `null`: the file keeps it. */
  readonly helper: string | null;
}

interface Entered extends Stored {
  readonly registry: string;
  readonly username: string | null;
  readonly type: 'password' | 'identity';
  /** `null` with `--no-verify`. */
  readonly checked: Checked | null;
}

/** `file` or `helper:NAME`; `undefined` leaves it to the config. */
function readStore(text: string | undefined): string | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'file') return null;
  const [, name] = /^helper:([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/.exec(text) ?? [];
  if (name !== undefined) return name;
  throw usage("--store takes 'file', or 'helper:NAME' for the program docker-credential-NAME");
}

/** A scope, and a URL of what it is about. */
function readScope({ scope, verify }: LoginOptions, { registry, url }: Named): Task['scopes'] {
  if (scope === undefined) return null;
  if (verify === false) throw usage('--scope is something to verify, and --no-verify says not to');
  const [first, ...others] = parseScopes(readScopes([scope]));
  const fits = first !== undefined && 'type' in first && first.type === 'repository' && others.length === 0;
  if (!fits) throw usage('--scope takes the scope of one repository, like repository:o/app:pull,push');
  try {
    const insecure = url.protocol === 'http:';
    const tags = endpoint({ registry, repository: first.name }, 'tags', { insecure });
    return { text: formatScopes([first]), url: tags };
  } catch (error) {
    if (error instanceof SyntaxError) throw usage('--scope names no repository that there can be');
    throw error;
  }
}

/** What nobody is answered, before anybody is asked for a password. */
async function probe(task: Task, trusted: readonly string[] = []): Promise<Anonymous> {
  const { target, again } = task;
  const client = await opener(task, trusted)(anonymousKeychain);
  try {
    return await waiting(task, () => askAnonymously(client, target.url, again));
  } catch (error) {
    throw failed(complaintFrom(error, again), task);
  } finally {
    client.close();
  }
}

/** @param trusted a token server that may see the credential, beside what options and files say */
function opener({ target, options, surroundings }: Task, trusted: readonly string[] = []): Open {
  const trustRealm = [...(options.trustRealm ?? []), ...trusted];
  const network = { ...options, trustRealm, cache: false };
  return (keychain: Keychain): Promise<Client> =>
    openClient({
      registry: target.url,
      options: network,
      given: null,
      keychain,
      store: false,
      surroundings,
      bodies: false,
    });
}

/** Shows that `work` is under way. */
async function waiting<T>({ target, options, surroundings }: Task, work: () => Promise<T>): Promise<T> {
  const running = progressFor(surroundings, options).start(`asking ${target.registry}`);
  try {
    return await work();
  } finally {
    running.end();
  }
}

/** What the options give, and what of it is missing is asked for. */
async function readCredential({
  target,
  options,
  again,
  surroundings,
}: Task): Promise<{ readonly credential: Credential; readonly source: string }> {
  const { stdin, stderr, signal } = surroundings;
  if (options.identityTokenStdin === true) {
    const hint = `${again.command} --identity-token-stdin < FILE`;
    if (stdin.isTTY === true) throw usage('stdin is a terminal, which would show the token', hint);
    const token = await passwordFrom(stdin, 'stdin', signal);
    if (token === '') throw usage('there is no identity token on stdin', hint);
    return { credential: { type: 'identity', token }, source: 'stdin' };
  }
  const { passwordStdin = false, passwordFile, input } = options;
  let { username } = options;
  if (username === undefined && !passwordStdin && passwordFile === undefined) {
    const hint = `${again.command} -u NAME --password-stdin < FILE`;
    if (stdin.isTTY !== true || stderr.isTTY !== true || input === false) {
      throw new Complaint(exitCode.usage, 'who logs in? There is no -u, and no terminal to ask on', {
        code: 'no-input',
        hint,
      });
    }
    const { ask } = await import('../terminal/prompt.ts');
    username = (await ask(`user name at ${target.name}:`, surroundings, { flag: '-u', hint })).trim();
    if (username === '') throw usage('no user name was typed', hint);
  }
  const given = await givenCredential(
    { ...options, ...(username === undefined ? {} : { username }) },
    surroundings,
    again.command,
  );
  if (given === null)
    throw usage('who logs in? There is no -u', `${again.command} -u NAME --password-stdin < FILE`);
  const { password, source } = given;
  return { credential: { type: 'password', username: given.username, password }, source };
}

/** Tries the credential; a token server that may not see it is shown to the operator, who may let it. */
async function check(task: Task, holder: Keychain, asNobody: Anonymous): Promise<Checked> {
  const { target } = task;
  let trusted: RealmPair | null = null;
  let anonymous = asNobody;
  for (;;) {
    const open = opener(task, trusted === null ? [] : [trusted.realm]);
    try {
      const verified = await waiting(task, () => verify(holder, target.url, anonymous, open));
      const { delivered } = verified;
      const complaint = complaintAbout(delivered, task.again) ?? complaintAboutPage(delivered, task.again);
      if (complaint !== null) throw complaint;
      return { verified, anonymous, scope: await checkScope(task, holder, open), trusted };
    } catch (error) {
      const pair: RealmPair | null = trusted === null ? pairIn(error) : null;
      if (pair === null) throw failed(complaintFrom(error, task.again), task);
      await agree(error, pair, task);
      trusted = pair;
      anonymous = await probe(task, [pair.realm]);
    }
  }
}

/** The pair that would let the credential go where it is asked for. */
function pairIn(error: unknown): RealmPair | null {
  const failure: Failure | null = isRegistryAuthError(error) ? error.failure : null;
  if (failure?.kind === 'realm-untrusted' && failure.reason !== 'not-https') return failure.pair;
  if (failure?.kind === 'realm-forbidden' && isMendedByTrust(failure)) {
    return { registry: failure.registry, realm: new URL(failure.realm).origin };
  }
  return null;
}

/** Asks whether the token server may see the credential. Throws a `Complaint` where it may not, or nobody can be asked. */
async function agree(error: unknown, pair: RealmPair, task: Task): Promise<void> {
  const { target, options, again, surroundings } = task;
  const { stdin, stderr } = surroundings;
  const line = `reg trust add ${quote(registryIn(target, {}))} ${quote(pair.realm)} && ${again.login}`;
  const hint = `${line}   # if that server may see your credential`;
  const complaint = complaintFrom(error, again);
  if (!(complaint instanceof Complaint)) throw complaint;
  const refused = new Complaint(complaint.exitCode, `${complaint.message} Nothing was stored.`, {
    ...complaint.details,
    hint,
  });
  if (stdin.isTTY !== true || stderr.isTTY !== true || options.input === false) throw refused;
  const { confirm } = await import('../terminal/prompt.ts');
  stderr.write(
    `${target.registry} has its tokens issued by ${toVisible(pair.realm)}, which is not known to belong to it.\n` +
      'Whoever runs that server would see your credential.\n',
  );
  const question = `Trust it with the credentials of ${target.registry}, from now on?`;
  const agreed = await confirm(question, surroundings, { flag: '--trust-realm', hint });
  if (!agreed)
    throw new Complaint(exitCode.unauthenticated, 'not trusted, so nothing was sent and nothing was stored', {
      code: 'realm-untrusted',
      hint,
    });
}

/** Asks for a token with the scope, or where there are none for the repository itself. */
async function checkScope({ scopes, again }: Task, holder: Keychain, open: Open): Promise<Checked['scope']> {
  if (scopes === null) return null;
  const { text: asked, url } = scopes;
  const client = await open(holder);
  try {
    const authorized = await client.authorize({ url, scopes: asked });
    const token = tokenIn(authorized.header);
    const step = grantIn(authorized.transcript());
    const extent = token === null || step === null ? null : extentOf(step, readClaims(token));
    if (extent !== null && extent.granted !== null) {
      const { granted, missing } = extent;
      if (missing.length === 0) return { asked, granted: formatScopes(granted) };
      throw new Complaint(
        exitCode.denied,
        `the credential is good, but not for all that was asked: ${formatScopes(missing)} was not granted`,
        { code: 'not-granted', hint: again.doctor },
      );
    }
    // A password says nothing of what it is for, nor does an opaque token whose server does not.
    const delivered = await client.get(url);
    await delivered.raw.discard();
    const complaint = complaintAbout(delivered, again);
    // That there is no such repository yet is nothing against the credential.
    if (complaint !== null && complaint.exitCode !== exitCode.notFound) throw complaint;
    return { asked, granted: null };
  } finally {
    client.close();
  }
}

/** What was wrong, and that nothing came of it. */
function failed(error: unknown, { again }: Task): unknown {
  if (!(error instanceof Complaint)) return error;
  const { code, hint = again.login } = error.details;
  return new Complaint(error.exitCode, `${error.message.replace(/\.?$/, '.')} Nothing was stored.`, {
    ...error.details,
    // Elsewhere what is public may do without the credential. Nobody logs in as nobody.
    hint: code === 'credential-rejected' ? again.login : hint,
  });
}

/** What is to be checked next: an image of the registry, or where no image can be named with its scheme the registry. */
function doctorFor(target: Named, options: LoginOptions): string {
  const { protocol } = target.url;
  const isUsual = registryIn(target, {}) === target.registry;
  const around = isUsual ? options : { ...options, plainHttp: protocol === 'http:' };
  const name = registryIn(target, around);
  const shown = isUrl(name) ? name : `${name}/OWNER/IMAGE`;
  return againFor('doctor', { ...target, shown }, around).command;
}

/** As whom, for a command that is a login. */
function asWhom({ username, identityTokenStdin }: LoginOptions): string {
  if (identityTokenStdin === true) return ' --identity-token-stdin < FILE';
  return username === undefined ? '' : ` -u ${quote(toVisible(username))}`;
}

/** Keeps what the registry accepted, and the trust it needed. */
async function store(
  { target, options, again, surroundings }: Task,
  credential: Credential,
  place: Place,
  helper: string | null | undefined,
  trusted: RealmPair | null,
): Promise<Stored> {
  const verified =
    options.verify === false ? '' : 'the registry accepts the credential, but it is not stored: ';
  try {
    const stored = await saveCredential(target.name, credential, {
      ...place,
      ...(helper === undefined ? {} : { helper }),
    });
    if (trusted !== null) await addTrust(trusted, ownerOf(surroundings.env));
    return stored;
  } catch (error) {
    if (error instanceof CredentialsError) {
      const isHelper = error.path.includes('docker-credential-');
      const hint = isHelper
        ? `${again.command} --store file${asWhom(options)}   # in the file itself`
        : `ls -ld ${quote(error.path)}`;
      throw new Complaint(exitCode.credentials, `${verified}${error.message}`, { hint });
    }
    if (error instanceof TrustError) {
      throw new Complaint(
        exitCode.credentials,
        `the credential is stored, but not the trust: ${error.message}`,
        {
          hint: 'reg trust list',
        },
      );
    }
    throw error;
  }
}

/** What this command kept as a helper would be found again as soon as a config names it, in place of what the file has now. */
async function forgetOwn(
  { name, namespace }: Named,
  options: LoginOptions,
  { env, stderr }: Surroundings,
): Promise<void> {
  const path = ownFileFor(options, env);
  if (path === null || namespace !== '') return;
  const say = (text: string): void => {
    if (options.quiet !== true) stderr.write(`${text}\n`);
  };
  try {
    const isErased = await eraseCredential(name, { path, env });
    if (isErased) say(`reg: what ${ownProgram} kept for ${name} is forgotten, in ${shownPlace(path, env)}`);
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    say(`warning: what ${ownProgram} keeps for ${name} stays: ${error.message}`);
  }
}

/** What comes before the file that was written, and is used in its place; `null` for nothing. */
async function shadowOf(
  { name, url, namespace }: Named,
  { config, authfile }: FileOptions,
  { env }: Surroundings,
): Promise<string | null> {
  const variable = env['DOCKER_AUTH_CONFIG'];
  if (!variable || config !== undefined || authfile !== undefined || env['REGISTRY_AUTH_FILE']) return null;
  // The variable alone: no other place comes before a file.
  const keychain = defaultKeychain({ env: { DOCKER_AUTH_CONFIG: variable }, home: '' });
  const { found, error } = await keychain.explain(url.origin, namespace === '' ? null : namespace);
  const isIt =
    found?.source.startsWith('DOCKER_AUTH_CONFIG') === true || error?.path === 'DOCKER_AUTH_CONFIG';
  return isIt ? `$DOCKER_AUTH_CONFIG comes first for ${name}: what was stored counts once it is unset` : null;
}

function loginJson({ registry, username, type, checked, path, key, helper }: Entered): object {
  const verified = checked?.verified;
  return {
    registry,
    username,
    type,
    verified:
      verified === undefined
        ? null
        : {
            scheme: verified.asked?.scheme ?? null,
            realm: verified.asked?.realm == null ? null : bareUrl(verified.asked.realm),
            service: verified.asked?.service ?? null,
            status: verified.status,
            anonymousStatus: checked?.anonymous.status ?? null,
            tested: verified.doubt === null,
            doubt: verified.doubt,
            scope: checked?.scope ?? null,
            durationMs: Math.round(verified.ms),
          },
    trusted: checked?.trusted?.realm ?? null,
    stored: { path, key, helper },
  };
}

function renderLogin(entered: Entered, env: Surroundings['env'], paint: Paint): string {
  const { registry, username, checked, path, key, helper } = entered;
  const who = toVisible(username ?? 'the identity token');
  const lines: string[] = [];
  if (checked === null)
    lines.push(`${paint('meaning', '!')} ${who} at ${registry} was not verified: --no-verify`);
  else lines.push(...verifiedLines(registry, who, checked, paint));
  const where = helper === null ? 'unencrypted' : `via docker-credential-${helper}`;
  lines.push(`  stored in ${shownPlace(path, env)}, ${where}; key ${JSON.stringify(key)}`);
  if (checked?.trusted) {
    lines.push(
      `  trusted from now on: ${toVisible(checked.trusted.realm)}, in ${shownPlace(trustFile(ownerOf(env)) ?? '', env)}`,
    );
  }
  return lines.map((line) => `${line}\n`).join('');
}

function verifiedLines(
  registry: string,
  who: string,
  { verified, anonymous, scope }: Checked,
  paint: Paint,
): readonly string[] {
  const { asked, status, doubt, ms } = verified;
  const nobody = anonymous.status ?? 'no answer';
  const [good, unsure] = [paint('good', '✓'), paint('meaning', '!')];
  const words = [registry];
  if (asked === null) words.push('asks for no credential');
  else {
    words.push(asked.scheme);
    if (asked.realm !== null) words.push(`realm ${toVisible(bareUrl(asked.realm))}`);
    if (asked.service !== null) words.push(`service ${toVisible(asked.service)}`);
  }
  words.push(paint('faint', `${Math.round(ms)} ms`));
  const lines = [`${good} ${words.join('  ')}`];
  if (doubt === null) {
    const answers = `authenticated GET /v2/ → ${status}; anonymous → ${nobody}`;
    lines.push(`${good} ${who} is accepted (checked: ${answers})`);
  } else {
    lines.push(`${unsure} ${who} was not tested: ${doubt}`);
    lines.push(`  (GET /v2/ → ${status}; anonymous → ${nobody})`);
    if (scope === null) lines.push('  to test it on an image: --scope repository:OWNER/IMAGE:pull');
  }
  if (scope !== null) {
    const { asked, granted } = scope;
    lines.push(
      granted === null
        ? `${unsure} ${toVisible(asked)}: reading it is allowed; what more is, this registry does not tell`
        : `${good} ${toVisible(asked)} is granted`,
    );
  }
  return lines;
}
