export { BlockedAddressError, checkedLookup, refuseAddress } from './address.ts';
export {
  type Certs,
  CertsError,
  type CertsOptions,
  type CertsStep,
  certFolders,
  certsFor,
  type TlsOptions,
} from './certs.ts';
export type { Owner } from './config-file.ts';
export {
  type Environment,
  type ProxyDecision,
  ProxyError,
  ProxyServer,
  proxyFor,
  secretFieldOf,
} from './proxy.ts';
export { addTrust, loadTrust, removeTrust, TrustError, trustFile } from './trust.ts';
