/**
 * TLS of one host from the `certs.d` folders of Docker and of containers.
 *
 * Rules of this file: a folder is for the host and port it is named for and for no other, so that a registry's authority is not
 * trusted for its token server, which never sees the registry's client certificate either (GHSA-whvf-jp7m-59f3). As for those
 * tools the first place that has a folder for the host counts, alone: `*.crt` are authorities, trusted beside Node's own,
 * `*.cert` and `*.key` of one name a client certificate. Half of a pair, or a file that cannot be read, is an error that names
 * it. What was looked at is told; keys are not. Most hosts have no folder, and what reads certificates takes a command longer to
 * load than all else: it is loaded when there is one to read.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { configFolder, errorCode, homeFolder, type Owner, readConfigFile } from './config-file.ts';

/** A folder of `certs.d`, or a file in one, that cannot be used. */
export class CertsError extends Error {
  override readonly name = 'CertsError';
  readonly code = 'ERR_REG_CERTS';
  /** Where a request ended, for the core. */
  readonly phase = 'tls';
  readonly path: string;

  constructor(path: string, fault: string) {
    super(`${path}: ${fault}`);
    this.path = path;
  }
}

export interface CertsOptions extends Owner {
  /** Folders that have a folder for each host, in order. Default: those of `certFolders`. */
  readonly dirs?: readonly string[];
  /** Default: this machine's. */
  readonly platform?: NodeJS.Platform;
}

/** What was found at a path that was looked at. */
export interface CertsStep {
  readonly path: string;
  readonly found:
    | 'nothing'
    /** A folder that this user may not look into: containers goes on as well, since root may own `/etc/docker`. */
    | 'no-access'
    | 'folder'
    /** Not looked into, since a place before it has a folder for the host; a pair after the first. */
    | 'shadowed'
    | 'authority'
    | 'client-certificate'
    | 'client-key'
    /** A file of no name that counts. */
    | 'ignored';
}

/** What a socket to a host is made with, for `tls.connect`, `https.request` or an undici connector. */
export interface TlsOptions {
  /** Node's own authorities and the host's. */
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

export interface Certs {
  /** Authorities for this host alone, each a PEM text. */
  readonly authorities: readonly string[];
  /** The client certificate with its chain, PEM; `null` when there is none. */
  readonly certificate: string | null;
  /** Every path that was looked at, in order. */
  readonly trail: readonly CertsStep[];
  /** All of it for a socket; empty when nothing was found, so that Node's defaults hold. Its key is a secret. */
  tlsOptions(): TlsOptions;
}

/**
 * The folders that may hold certificates of `host`, in order: the user's for Docker, rootless Docker and containers, then the
 * system's for containers and Docker.
 *
 * @param host `host` or `host:port`, IPv6 in brackets. Port 443 may be written in a folder's name or left out.
 * @throws TypeError when `host` is none
 */
export function certFolders(host: string, options: CertsOptions = {}): readonly string[] {
  const names = namesOf(host, options.platform ?? process.platform);
  return (options.dirs ?? defaultPlaces(options)).flatMap((dir) => names.map((name) => join(dir, name)));
}

/** Reads the first folder there is for `host`. Rejects with `CertsError` when it, or a file in it, cannot be used. */
export async function certsFor(host: string, options: CertsOptions = {}): Promise<Certs> {
  const trail: CertsStep[] = [];
  let files: Files | null = null;
  for (const folder of certFolders(host, options)) {
    if (files !== null) {
      trail.push({ path: folder, found: 'shadowed' });
      continue;
    }
    const names = await namesIn(folder);
    trail.push({ path: folder, found: typeof names === 'string' ? names : 'folder' });
    if (typeof names !== 'string') files = await readFolder(folder, names, trail);
  }
  const { authorities, pair } = files ?? { authorities: [], pair: null };
  // `ca` alone would be trusted in place of Node's own.
  const own = authorities.length === 0 ? null : (await import('node:tls')).getCACertificates('default');
  return {
    authorities,
    certificate: pair?.cert ?? null,
    trail,
    tlsOptions: () => ({
      ...(own === null ? {} : { ca: [...own, ...authorities] }),
      ...pair,
    }),
  };
}

function defaultPlaces(options: CertsOptions): readonly string[] {
  const { env = process.env, platform = process.platform } = options;
  const home = homeFolder(options.home);
  const config = configFolder(options);
  const users = [
    ...(home === null ? [] : [join(home, '.docker', 'certs.d')]),
    ...(config === null ? [] : [join(config, 'docker', 'certs.d')]),
    // Not where `XDG_CONFIG_HOME` says: containers-certs.d(5).
    ...(home === null ? [] : [join(home, '.config', 'containers', 'certs.d')]),
  ];
  if (platform !== 'win32') return [...users, '/etc/containers/certs.d', '/etc/docker/certs.d'];
  const data = env['ProgramData'];
  return data ? [...users, join(data, 'docker', 'certs.d')] : users;
}

/** What a folder for `host` may be called. Windows has no colon in names: Docker leaves it out there. */
function namesOf(host: string, platform: NodeJS.Platform): readonly string[] {
  const text = `https://${host}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  // A host of dots alone is a URL's, and a folder's parent.
  if (url === null || url.href !== `https://${url.host}/` || url.host.replaceAll('.', '') === '') {
    throw new TypeError('[@reg/node] certificates are for a host, or a host and its port');
  }
  const names = url.port === '' ? [url.host, `${url.host}:443`] : [url.host];
  return platform === 'win32' ? names.map((name) => name.replaceAll(':', '')) : names;
}

async function namesIn(folder: string): Promise<readonly string[] | 'nothing' | 'no-access'> {
  try {
    // In order of their names, so that the first of two is the same everywhere.
    return (await readdir(folder)).sort();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'nothing';
    if (code === 'EACCES' || code === 'EPERM') return 'no-access';
    throw new CertsError(folder, `cannot be read (${code})`);
  }
}

interface Files {
  readonly authorities: readonly string[];
  readonly pair: { readonly cert: string; readonly key: string } | null;
}

/** What reads certificates and keys. */
type Crypto = Pick<typeof import('node:crypto'), 'createPrivateKey' | 'X509Certificate'>;

async function readFolder(folder: string, names: readonly string[], trail: CertsStep[]): Promise<Files> {
  const crypto: Crypto = await import('node:crypto');
  const authorities: string[] = [];
  let pair: Files['pair'] = null;
  for (const name of names) {
    const path = join(folder, name);
    if (name.endsWith('.crt')) {
      authorities.push(...certificatesIn(path, await textOf(path), crypto));
      trail.push({ path, found: 'authority' });
    } else if (name.endsWith('.cert')) {
      const keyName = `${name.slice(0, -'.cert'.length)}.key`;
      const keyPath = join(folder, keyName);
      if (!names.includes(keyName)) {
        throw new CertsError(path, `has no key beside it, ${keyPath}. An authority's name ends in .crt`);
      }
      const counts = pair === null;
      pair ??= await readPair(path, keyPath, crypto);
      trail.push({ path, found: counts ? 'client-certificate' : 'shadowed' });
      trail.push({ path: keyPath, found: counts ? 'client-key' : 'shadowed' });
    } else if (name.endsWith('.key')) {
      const certName = `${name.slice(0, -'.key'.length)}.cert`;
      if (!names.includes(certName)) {
        throw new CertsError(path, `has no certificate beside it, ${join(folder, certName)}`);
      }
    } else trail.push({ path, found: 'ignored' });
  }
  return { authorities, pair };
}

async function readPair(
  certPath: string,
  keyPath: string,
  crypto: Crypto,
): Promise<{ cert: string; key: string }> {
  const cert = await textOf(certPath);
  const [leaf] = certificatesIn(certPath, cert, crypto);
  const key = await textOf(keyPath);
  if (leaf === undefined) throw new CertsError(certPath, 'holds no certificate in PEM');
  if (!belongsTo(leaf, key, keyPath, crypto)) throw new CertsError(keyPath, `is not the key of ${certPath}`);
  return { cert, key };
}

function belongsTo(
  leaf: string,
  key: string,
  path: string,
  { X509Certificate, createPrivateKey }: Crypto,
): boolean {
  try {
    return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key));
  } catch {
    // The system's words are left out: what they say about is a key.
    throw new CertsError(
      path,
      key.includes('ENCRYPTED') ? 'is locked by a passphrase' : 'holds no private key in PEM',
    );
  }
}

/** What stands around certificates in a file may be text of any encoding. */
async function textOf(path: string): Promise<string> {
  const file = await readConfigFile(path);
  if (file === null) throw new CertsError(path, 'is gone, or a link that leads nowhere');
  if (file.bytes === null) throw new CertsError(path, file.fault);
  return file.bytes.toString('latin1');
}

const begin = '-----BEGIN CERTIFICATE-----';
const end = '-----END CERTIFICATE-----';

/** Every certificate in a bundle, one PEM text each. */
function certificatesIn(path: string, text: string, { X509Certificate }: Crypto): readonly string[] {
  const list: string[] = [];
  for (let at = text.indexOf(begin); at >= 0; ) {
    const until = text.indexOf(end, at);
    const pem = `${text.slice(at, until < 0 ? undefined : until + end.length)}\n`;
    try {
      list.push(new X509Certificate(pem).toString());
    } catch {
      throw new CertsError(path, `certificate ${list.length + 1} in it cannot be read`);
    }
    at = text.indexOf(begin, at + begin.length);
  }
  if (list.length === 0) throw new CertsError(path, 'holds no certificate in PEM');
  return list;
}
