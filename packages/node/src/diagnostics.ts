/**
 * The channels of `node:diagnostics_channel` on which every client of this package tells what it does.
 *
 * Rules of this file: it names the channels and nothing else; what is told on them, and that no secret is in it, is the core's.
 * Without subscribers a request costs three looks at `hasSubscribers`.
 *
 * | channel | message | tells |
 * |---|---|---|
 * | `reg:handshake` | `HandshakeMessage` | each call: its beginning, each request to the registry, its end |
 * | `reg:exchange` | `ExchangeMessage` | each token asked for, once, however many calls wait for it |
 * | `reg:cache` | `CacheMessage` | each look for a token in memory, and each that is put there |
 *
 * A subscriber that throws hurts no call and no other subscriber; Node reports its error as an `uncaughtException`, as on any
 * channel.
 */

import { channel } from 'node:diagnostics_channel';
import type { Channels } from '@reg/core/driver';

export const channels: Channels = {
  handshake: channel('reg:handshake'),
  exchange: channel('reg:exchange'),
  cache: channel('reg:cache'),
};
