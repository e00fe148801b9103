/**
 * What a host is, from its spelling alone.
 *
 * Rules of this file: it never resolves a name, and it knows no policy. A host is read only after `new URL()` has made
 * one spelling of all (`0xA9FEA9FE`, `2852039166`, `127.1`, `①②⑦.0.0.1`), so that what is judged is what is dialled:
 * classifiers that read addresses otherwise than the network stack did let attackers in (CVE-2024-29415, CVE-2023-42282).
 * The limit of this defence: a public name may resolve to any address. An adapter that opens the connection itself asks
 * `classifyAddress` again about the address it dials.
 */

/**
 * - `loopback`: this machine, whatever the network says: 127.0.0.0/8, `::1`, `localhost` and names below it (RFC 6761)
 * - `host-alias`: a name that by convention leads to this machine or the one a container runs on; blocked like loopback,
 *   but never trusted like it, since whoever answers DNS decides
 * - `embedded`: an IPv6 address that a translator turns into one of the blocked IPv4 addresses
 * - `public`: none of the others, so also every name that is not known to be special
 */
export type AddressClass = 'public' | 'private' | BlockedAddress;

/** Where nobody goes on the word of a peer. */
export type BlockedAddress =
  | 'loopback'
  | 'link-local'
  | 'unspecified'
  | 'metadata'
  | 'host-alias'
  | 'embedded';

/** `code` of the error of an adapter that looked at the addresses of a host and did not dial. */
export const blockedAddressCode = 'ERR_REG_BLOCKED_ADDRESS';

/** Whether a peer may not send us to addresses of this class. Private ranges are where registries live: they may. */
export function isBlocked(address: AddressClass): address is BlockedAddress {
  return address !== 'public' && address !== 'private';
}

/**
 * The class of a host.
 *
 * @param hostname as `new URL().hostname` spells it: lower case, IPv6 in brackets, IPv4 as four decimal numbers
 */
export function classifyHost(hostname: string): AddressClass {
  const address = classifyAddress(hostname.startsWith('[') ? hostname.slice(1, -1) : hostname);
  if (address !== null) return address;
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  if (name === 'localhost' || name.endsWith('.localhost')) return 'loopback';
  return specialNames.get(name) ?? 'public';
}

/**
 * The class of an IP address, or `null` when the text is none.
 *
 * @param ip as sockets and resolvers write it: no brackets, a zone (`fe80::1%eth0`) is allowed; IPv4 parts have no
 *   leading zero, since half the world reads them as octal
 */
export function classifyAddress(ip: string): AddressClass | null {
  const v4 = readV4(ip);
  if (v4 !== null) return classOf(v4, 32n, v4Ranges);
  const v6 = readV6(ip);
  if (v6 === null) return null;
  // A socket to a v4-mapped address (RFC 4291 §2.5.5.2) is a socket to the IPv4 address.
  if (isWithin(v6, 128n, mapped, 96n)) return classOf(v6 & 0xffff_ffffn, 32n, v4Ranges);
  const embedding = embeddings.find(([network, bits]) => isWithin(v6, 128n, network, bits));
  if (embedding === undefined || v6 <= 1n) return classOf(v6, 128n, v6Ranges);
  const [, , shift] = embedding;
  const inner = classOf((v6 >> shift) & 0xffff_ffffn, 32n, v4Ranges);
  return isBlocked(inner) ? 'embedded' : inner;
}

type Range = readonly [network: bigint, bits: bigint, address: AddressClass];

// The first range that holds the address decides, so the single addresses come first.
const v4Ranges: readonly Range[] = [
  [0xa9fe_a9fen, 32n, 'metadata'], // 169.254.169.254: nearly every cloud
  [0xa9fe_aa02n, 32n, 'metadata'], // 169.254.170.2: credentials of AWS ECS tasks
  [0xa9fe_aa17n, 32n, 'metadata'], // 169.254.170.23: credentials of AWS EKS pods
  [0x6464_64c8n, 32n, 'metadata'], // 100.100.100.200: Alibaba Cloud, inside the CGNAT range
  [0xa83f_8110n, 32n, 'metadata'], // 168.63.129.16: Azure's wire server, a public address
  [0xc000_00c0n, 32n, 'metadata'], // 192.0.0.192: Oracle Cloud
  [0x0000_0000n, 8n, 'unspecified'], // 0.0.0.0/8: Linux takes 0.0.0.0 for this machine
  [0x7f00_0000n, 8n, 'loopback'],
  [0xa9fe_0000n, 16n, 'link-local'], // 169.254.0.0/16
  [0x0a00_0000n, 8n, 'private'], // 10.0.0.0/8, RFC 1918
  [0xac10_0000n, 12n, 'private'], // 172.16.0.0/12
  [0xc0a8_0000n, 16n, 'private'], // 192.168.0.0/16
  [0x6440_0000n, 10n, 'private'], // 100.64.0.0/10: CGNAT, RFC 6598
];

const v6Ranges: readonly Range[] = [
  [0n, 128n, 'unspecified'],
  [1n, 128n, 'loopback'],
  [0xfd00_0ec2n << 96n, 32n, 'metadata'], // fd00:ec2::/32: AWS, among it fd00:ec2::254
  [(0xfd20_00cen << 96n) | 0x254n, 128n, 'metadata'], // fd20:ce::254: Google Cloud
  [0xfe80n << 112n, 10n, 'link-local'],
  [0xfc00n << 112n, 7n, 'private'], // unique local, RFC 4193
];

const mapped = 0xffffn << 32n;

/** IPv6 networks whose members carry an IPv4 address, and how far it is from the right. */
const embeddings: readonly (readonly [network: bigint, bits: bigint, shift: bigint])[] = [
  [0n, 96n, 0n], // ::/96, "IPv4-compatible", RFC 4291 §2.5.5.1
  [0xffffn << 48n, 96n, 0n], // ::ffff:0:0:0/96, "IPv4-translated", RFC 2765
  [0x0064_ff9bn << 96n, 96n, 0n], // 64:ff9b::/96: NAT64, RFC 6052
  [0x0064_ff9b_0001n << 80n, 48n, 0n], // 64:ff9b:1::/48: NAT64 of a site, RFC 8215; at /96, as it is deployed
  [0x2002n << 112n, 16n, 80n], // 2002::/16: 6to4, RFC 3056
];

const specialNames: ReadonlyMap<string, BlockedAddress> = new Map([
  ['metadata', 'metadata'],
  ['metadata.google.internal', 'metadata'],
  ['metadata.goog', 'metadata'],
  ['instance-data', 'metadata'],
  ['instance-data.ec2.internal', 'metadata'],
  ['metadata.tencentyun.com', 'metadata'],
  ['host.docker.internal', 'host-alias'],
  ['gateway.docker.internal', 'host-alias'],
  ['kubernetes.docker.internal', 'host-alias'],
  ['host.containers.internal', 'host-alias'],
  ['host.lima.internal', 'host-alias'],
  ['host.minikube.internal', 'host-alias'],
  ['host.orb.internal', 'host-alias'],
  ['host.rancher-desktop.internal', 'host-alias'],
  ['localhost.localdomain', 'host-alias'],
  ['localhost4', 'host-alias'],
  ['localhost6', 'host-alias'],
  ['ip6-localhost', 'host-alias'],
  ['ip6-loopback', 'host-alias'],
]);

function classOf(ip: bigint, width: bigint, ranges: readonly Range[]): AddressClass {
  const range = ranges.find(([network, bits]) => isWithin(ip, width, network, bits));
  return range === undefined ? 'public' : range[2];
}

function isWithin(ip: bigint, width: bigint, network: bigint, bits: bigint): boolean {
  return (ip ^ network) >> (width - bits) === 0n;
}

function readV4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let ip = 0n;
  for (const part of parts) {
    const byte = Number(part);
    // Only a canonical decimal survives the way there and back: no '0x7f', no '012', no '1e1', no ''.
    if (String(byte) !== part || !(byte >= 0 && byte <= 255)) return null;
    ip = (ip << 8n) | BigInt(byte);
  }
  return ip;
}

/** RFC 4291 §2.2, with the dotted form at the end and a zone (RFC 4007 §11), which says nothing about the class. */
function readV6(text: string): bigint | null {
  const zone = text.indexOf('%');
  const address = hexTail(zone < 0 ? text : text.slice(0, zone));
  const gap = address.indexOf('::');
  const head = readGroups(gap < 0 ? address : address.slice(0, gap));
  const tail = readGroups(gap < 0 ? '' : address.slice(gap + 2));
  if (head === null || tail === null) return null;
  const zeros = 8 - head.length - tail.length;
  if (gap < 0 ? zeros !== 0 : zeros < 1) return null;
  const groups = [...head, ...Array<bigint>(zeros).fill(0n), ...tail];
  return groups.reduce((ip, group) => (ip << 16n) | group, 0n);
}

/** `::ffff:127.0.0.1` as `::ffff:7f00:1`; anything else as it is. */
function hexTail(text: string): string {
  const start = text.lastIndexOf(':') + 1;
  const v4 = readV4(text.slice(start));
  if (v4 === null) return text;
  return `${text.slice(0, start)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
}

function readGroups(text: string): bigint[] | null {
  if (text === '') return [];
  const groups: bigint[] = [];
  for (const group of text.split(':')) {
    if (group === '' || group.length > 4 || ![...group].every((c) => hexDigits.includes(c))) return null;
    groups.push(BigInt(`0x${group}`));
  }
  return groups;
}

const hexDigits = '0123456789abcdefABCDEF';
