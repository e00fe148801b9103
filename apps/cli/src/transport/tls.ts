/**
 * TLS with a host, as the command line and the `certs.d` folders of Docker and Podman have it.
 *
 * Rules of this file: loaded when the first https connection is made. A client certificate of the command line is for the
 * registry that it names, and one of a folder for the host of that folder: no other host is shown either, a token server
 * included. A host is verified unless it was named as one that is not.
 */

import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { certsFor, type TlsOptions } from '@reg/node/network';

export interface TlsSetting {
  /** PEM of the authorities to trust, in place of Node's own and those of the folders. */
  readonly ca?: string | undefined;
  /** What one host is shown, in place of what its folder holds. PEM. */
  readonly client?: { readonly host: string; readonly cert: string; readonly key: string } | undefined;
  /** `host` or `host:port` of those whose certificate may be any, for any name. */
  readonly unverified: ReadonlySet<string>;
  /** Where folders are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home?: string | undefined;
  /** In place of the usual folders. */
  readonly dirs?: readonly string[] | undefined;
}

/**
 * Begins TLS on `socket`. Rejects with `CertsError` for a folder that cannot be used.
 *
 * @param at `host:port` as `URL.host` has it
 */
export async function connectTls(
  socket: Socket,
  host: string,
  at: string,
  setting: TlsSetting,
): Promise<TLSSocket> {
  const { ca, client, unverified } = setting;
  const { cert, key } = client?.host === at ? client : {};
  const own = ca === undefined ? await fromFolder(at, setting) : { ca };
  return connect({
    socket,
    host,
    ...own,
    ...(cert === undefined ? {} : { cert, key }),
    // RFC 6066 §3: an address is no name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: !unverified.has(at),
  });
}

async function fromFolder(at: string, { env, home, dirs }: TlsSetting): Promise<TlsOptions> {
  const certs = await certsFor(at, {
    env,
    ...(home === undefined ? {} : { home }),
    ...(dirs === undefined ? {} : { dirs }),
  });
  return certs.tlsOptions();
}
