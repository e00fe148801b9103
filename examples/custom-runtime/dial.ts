/**
 * Connections: DNS, TCP and, for https, TLS.
 *
 * Rules of this file: a host that a peer named, and not the caller, is looked up and judged before it is dialled: a public name
 * may stand for this machine or for its cloud's metadata. What was judged is what is dialled: the name is looked up once.
 */

import { lookup } from 'node:dns/promises';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Addresses, blockedAddressCode, classifyAddress, isBlocked } from '@reg/core';
import { SocketFault } from './fault.ts';

/** A connection to the host of `url`, perhaps still on its way. Rejects with a `SocketFault` for an address nobody may dial. */
export async function dial(url: URL, addresses: Addresses): Promise<Socket> {
  const secure = url.protocol === 'https:';
  // An IPv6 address stands in brackets in a URL, and nowhere else.
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  const port = Number(url.port) || (secure ? 443 : 80);
  const found = await lookup(host, { all: true });
  if (addresses === 'unblocked' && !found.every(({ address }) => mayBeDialled(address))) {
    throw new SocketFault(
      'lookup',
      blockedAddressCode,
      `${host} stands for an address that nobody may be sent to`,
    );
  }
  const known: LookupFunction = (_name, _options, done) => done(null, found);
  const to = { host, port, lookup: known };
  return secure ? connectTls(to) : connectTcp(to);
}

function mayBeDialled(address: string): boolean {
  const kind = classifyAddress(address);
  return kind !== null && !isBlocked(kind);
}
