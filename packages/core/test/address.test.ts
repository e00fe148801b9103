import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AddressClass, classifyAddress, classifyHost, isBlocked } from '../src/address.ts';

/** Host, in any spelling that `new URL()` takes, and its class. */
const hosts: readonly (readonly [host: string, expected: AddressClass])[] = [
  ['registry.example.com', 'public'],
  ['8.8.8.8', 'public'],
  ['[2001:db8::1]', 'public'],

  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.1.1', 'private'],
  ['192.169.1.1', 'public'],
  ['100.64.0.1', 'private'],
  ['100.128.0.1', 'public'],
  ['[fc00::1]', 'private'],
  ['[fdff::1]', 'private'],

  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['127.1', 'loopback'],
  ['2130706433', 'loopback'],
  ['0x7f.1', 'loopback'],
  ['0177.0.0.1', 'loopback'],
  ['①②⑦.0.0.1', 'loopback'],
  ['[::1]', 'loopback'],
  ['[0:0:0:0:0:0:0:1]', 'loopback'],
  ['[::ffff:127.0.0.1]', 'loopback'],
  ['localhost', 'loopback'],
  ['LOCALHOST', 'loopback'],
  ['localhost.', 'loopback'],
  ['a.b.localhost', 'loopback'],
  ['notlocalhost', 'public'],
  ['localhost.example', 'public'],

  ['0.0.0.0', 'unspecified'],
  ['0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['[::]', 'unspecified'],
  ['[::ffff:0.0.0.0]', 'unspecified'],

  ['169.254.1.1', 'link-local'],
  ['[fe80::1]', 'link-local'],
  ['[febf::1]', 'link-local'],
  ['[fec0::1]', 'public'],

  ['169.254.169.254', 'metadata'],
  ['169.254.169.254.', 'metadata'],
  ['2852039166', 'metadata'],
  ['0xA9FEA9FE', 'metadata'],
  ['0251.0376.0251.0376', 'metadata'],
  ['169.254.43518', 'metadata'],
  ['169.254.170.2', 'metadata'],
  ['169.254.170.23', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['[fd00:ec2::254]', 'metadata'],
  ['[fd00:ec2::23]', 'metadata'],
  ['[fd20:ce::254]', 'metadata'],
  ['[fd20:ce::255]', 'private'],
  ['[::ffff:169.254.169.254]', 'metadata'],
  ['metadata.google.internal', 'metadata'],
  ['Metadata.Google.Internal.', 'metadata'],
  ['metadata.goog', 'metadata'],
  ['metadata', 'metadata'],
  ['instance-data', 'metadata'],
  ['metadata.example.com', 'public'],

  ['host.docker.internal', 'host-alias'],
  ['host.containers.internal', 'host-alias'],
  ['ip6-localhost', 'host-alias'],

  ['[::127.0.0.1]', 'embedded'],
  ['[::ffff:0:127.0.0.1]', 'embedded'],
  ['[64:ff9b::169.254.169.254]', 'embedded'],
  ['[64:ff9b:1::127.0.0.1]', 'embedded'],
  ['[2002:7f00:1::1]', 'embedded'],
  ['[2002:a9fe:a9fe::]', 'embedded'],
  ['[64:ff9b::10.0.0.1]', 'private'],
  ['[2002:c0a8:101::1]', 'private'],
  ['[64:ff9b::8.8.8.8]', 'public'],
  ['[2002:808:808::1]', 'public'],
];

describe('classifyHost reads what new URL() made of a host', () => {
  test.each(hosts)('%s is %s', (host, expected) => {
    expect(classifyHost(new URL(`https://${host}/`).hostname)).toBe(expected);
  });
});

describe('classifyAddress reads addresses as sockets and resolvers write them', () => {
  test.each([
    ['::ffff:127.0.0.1', 'loopback'],
    ['fe80::1%eth0', 'link-local'],
    ['::FFFF:A9FE:A9FE', 'metadata'],
    ['1:2:3:4:5:6:7::', 'public'],
    ['64:ff9b::127.0.0.1', 'embedded'],
  ] as const)('%s is %s', (ip, expected) => {
    expect(classifyAddress(ip)).toBe(expected);
  });

  test.each([
    '',
    'localhost',
    '127.1',
    '0127.0.0.1',
    '0x7f.0.0.1',
    '256.0.0.1',
    '-1.0.0.1',
    'NaN.0.0.1',
    '1.2.3.4.5',
    '[::1]',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3',
  ])('%j is no address', (text) => {
    expect(isIP(text)).toBe(0);
    expect(classifyAddress(text)).toBeNull();
  });

  test('reads every address that Node reads, and no other text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        expect(isIP(ip)).not.toBe(0);
        expect(classifyAddress(ip)).not.toBeNull();
      }),
    );
    const shards = fc.constantFrom(
      '0',
      '1',
      '7f',
      'ffff',
      '12345',
      ':',
      '::',
      '.',
      '127.0.0.1',
      '256',
      '08',
      'g',
    );
    fc.assert(
      fc.property(fc.array(shards, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        expect(classifyAddress(text) === null, text).toBe(isIP(text) === 0);
      }),
      { numRuns: 2_000 },
    );
  });

  test('blocks what a list made with Node’s own matcher blocks', () => {
    const list = new BlockList();
    for (const [network, bits] of [
      ['0.0.0.0', 8],
      ['127.0.0.0', 8],
      ['169.254.0.0', 16],
      ['100.100.100.200', 32],
      ['168.63.129.16', 32],
      ['192.0.0.192', 32],
    ] as const) {
      list.addSubnet(network, bits, 'ipv4');
    }
    const edges = fc.constantFrom(
      0,
      1,
      63,
      64,
      99,
      100,
      126,
      127,
      128,
      168,
      169,
      170,
      192,
      200,
      253,
      254,
      255,
    );
    const v4 = fc.tuple(edges, edges, edges, edges).map((bytes) => bytes.join('.'));
    fc.assert(
      fc.property(fc.oneof(v4, fc.ipV4()), (ip) => {
        const blocked = list.check(ip, 'ipv4');
        const classified = classifyAddress(ip);
        expect(classified !== null && isBlocked(classified)).toBe(blocked);
        expect(classifyAddress(`::ffff:${ip}`)).toBe(classified);
        for (const carrier of [`::ffff:0:${ip}`, `64:ff9b::${ip}`, `64:ff9b:1::${ip}`]) {
          expect(classifyAddress(carrier)).toBe(blocked ? 'embedded' : classified);
        }
      }),
    );
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        classifyAddress(text);
        classifyHost(text);
      }),
    );
  });
});
