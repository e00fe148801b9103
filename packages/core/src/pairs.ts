/**
 * Public registries whose token server is at another host.
 *
 * Rules of this file: a pair is two exact origins, bound on both sides. The realm gets the credentials of that registry
 * and of no other, and another registry that names the realm gets nothing from it (CVE-2025-51471). A pair is listed only
 * where the realm was seen in that registry's own challenge; what a pattern would cover beyond that is the user's to add.
 */

import type { RealmPair } from './policy.ts';

/**
 * The pairs that hold under every policy; `policy.realms.pairs` adds to them.
 *
 * Left out: Alibaba Cloud's other regions and its `<instance>-registry.<region>.cr.aliyuncs.com`, which are no list that
 * ends and whose realms differ by region, and IBM's regional hosts, whose realm was not seen.
 */
export const builtInPairs: readonly RealmPair[] = [
  { registry: 'https://registry-1.docker.io', realm: 'https://auth.docker.io' },
  { registry: 'https://index.docker.io', realm: 'https://auth.docker.io' },
  { registry: 'https://docker.io', realm: 'https://auth.docker.io' },
  // An ancestor domain needs no pair to get a credential; the pair keeps Basic away from a registry of Bearer (Q13).
  { registry: 'https://registry.gitlab.com', realm: 'https://gitlab.com' },
  { registry: 'https://docker.elastic.co', realm: 'https://docker-auth.elastic.co' },
  { registry: 'https://registry.digitalocean.com', realm: 'https://api.digitalocean.com' },
  // Its first challenge names nvcr.io itself, the one after a token expired this host (Q19).
  { registry: 'https://nvcr.io', realm: 'https://authn.nvidia.com' },
  {
    registry: 'https://registry.cn-hangzhou.aliyuncs.com',
    realm: 'https://dockerauth.cn-hangzhou.aliyuncs.com',
  },
  {
    registry: 'https://registry.cn-shenzhen.aliyuncs.com',
    realm: 'https://dockerauth.cn-hangzhou.aliyuncs.com',
  },
];
