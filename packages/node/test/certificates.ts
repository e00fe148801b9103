/** Private authorities, what they sign, and `certs.d` folders, for one test. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';
// By path: only tests sign certificates of their own.
import { createCertificate } from '../../testing/src/certificate.ts';

export interface Signed {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  /** What a client has to trust, as PEM. */
  readonly ca: string;
  /** A certificate for loopback and `names`. */
  server(about?: { readonly names?: readonly string[]; readonly until?: number }): Signed;
  client(subject: string): Signed;
}

export function authority(name = 'Private authority'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { subject: name, privateKey: keys.privateKey };
  const ca = createCertificate({ subject: name, publicKey: keys.publicKey, issuer, authority: true });
  const sign = (
    about: Pick<Parameters<typeof createCertificate>[0], 'subject' | 'names' | 'usage' | 'until'>,
  ) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = createCertificate({ ...about, publicKey, issuer, authority: false });
    return { cert: cert.toString(), key: pem(privateKey) };
  };
  return {
    ca: ca.toString(),
    server: ({ names = ['127.0.0.1', '::1', 'localhost'], ...rest } = {}) =>
      sign({ subject: 'Private server', names, ...rest }),
    client: (subject) => sign({ subject, usage: 'client' }),
  };
}

export function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A folder with these folders of files in it, which goes with the test. */
export async function foldersOf(
  folders: Readonly<Record<string, Readonly<Record<string, string | Buffer>>>>,
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'certs-'));
  onTestFinished(() => rm(root, { recursive: true }));
  for (const [folder, files] of Object.entries(folders)) await put(root, folder, files);
  return root;
}

export async function put(
  root: string,
  folder: string,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<void> {
  await mkdir(join(root, folder), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(root, folder, name), content);
}

export interface TlsServer {
  /** `127.0.0.1:port`, or another address. */
  readonly host: string;
  readonly url: string;
  readonly port: number;
  /** Subject of the client certificate of each request, `null` where none came. */
  readonly presented: readonly (string | null)[];
  readonly paths: readonly string[];
  /** `authorization` of each request. */
  readonly authorized: readonly (string | undefined)[];
  /** How many connections came, TLS or not. */
  readonly connections: () => number;
  readonly server: Server;
}

/** An https server on `address` that answers `text`, or as `answer` says, until the test ends. */
export async function serveTls(
  options: TlsOptions,
  answer: Parameters<typeof createServer>[1] = (_, response) => response.end('text'),
  address = '127.0.0.1',
): Promise<TlsServer> {
  const presented: (string | null)[] = [];
  const paths: string[] = [];
  const authorized: (string | undefined)[] = [];
  let connections = 0;
  const server = createServer(options, (request, response) => {
    // An https server has TLS sockets.
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    presented.push(subject === undefined ? null : String(subject.CN));
    paths.push(request.url ?? '');
    authorized.push(request.headers.authorization);
    answer(request, response);
  });
  const sockets = new Set<Duplex>();
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  const host = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return {
    host,
    url: `https://${host}`,
    port,
    presented,
    paths,
    authorized,
    connections: () => connections,
    server,
  };
}
