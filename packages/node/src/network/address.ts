/**
 * The address that is dialled, checked after DNS (design §5).
 *
 * Rules of this file: every answer of the resolver is asked about, and one that is blocked refuses the name, since an attacker
 * chooses the order of answers and which of them fail (CVE-2026-92543). What was checked is what is dialled: the socket gets
 * these very answers, so that a name which stands for another address a moment later (DNS rebinding) gains nothing.
 */

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { type AddressClass, blockedAddressCode, classifyAddress, isBlocked } from '@reg/core';

/** A host that a peer named stands for an address where nobody is sent on a peer's word. Nothing was dialled. */
export class BlockedAddressError extends Error {
  override readonly name = 'BlockedAddressError';
  readonly code = blockedAddressCode;
  /** Where a request ended, for the core. */
  readonly phase = 'lookup';
  readonly hostname: string;
  readonly address: string;

  constructor(hostname: string, address: string, addressClass: AddressClass | null) {
    super(`${hostname} stands for ${address}, ${addressClass ?? 'no'} address`);
    this.hostname = hostname;
    this.address = address;
  }
}

/**
 * Why a connection to `hostname`, which stands for `address`, is refused; or `null`.
 *
 * @param address as sockets and resolvers write it: no brackets, a zone is allowed. What is none is refused.
 */
export function refuseAddress(hostname: string, address: string): BlockedAddressError | null {
  const addressClass = classifyAddress(address);
  const refused = addressClass === null || isBlocked(addressClass);
  return refused ? new BlockedAddressError(hostname, address, addressClass) : null;
}

/**
 * A `lookup` for sockets (`net.connect`, `tls.connect`, `http.request`) that ends with `BlockedAddressError` when any answer is
 * blocked. A host that is an address already is never looked up: ask `refuseAddress`.
 *
 * @param lookup what resolves names. Default: the system's
 */
export function checkedLookup(lookup: LookupFunction = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) return callback(error, '', 0);
      // Some resolvers of one's own do not know `all`.
      const answers: readonly LookupAddress[] = Array.isArray(found)
        ? found
        : [{ address: found, family: family ?? isIP(found) }];
      for (const { address } of answers) {
        const refused = refuseAddress(hostname, address);
        if (refused !== null) return callback(refused, '', 0);
      }
      const [first] = answers;
      if (options.all === true || first === undefined) return callback(null, [...answers]);
      callback(null, first.address, first.family);
    });
  };
}
