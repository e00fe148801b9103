export type { Repositories, RepositoryDeclaration, UserDeclaration, Users } from './access.ts';
export { createServerCertificate, type ServerCertificate } from './certificate.ts';
export type {
  CasePolicy,
  CreateFetch,
  Credential,
  Fetch,
  FetchedResponse,
  FetchInit,
  FetchOptions,
} from './conformance/contract.ts';
export { runConformance } from './conformance/suite.ts';
export type { CorsOptions } from './cors.ts';
export type { Moment } from './deliver.ts';
export type { Fault, FaultEffect, FaultMatch, Faults } from './faults.ts';
export type { Auth } from './guard.ts';
export type { LoggedRequest, RequestFilter, ServerName } from './log.ts';
export { type Registry, type RegistryOptions, startRegistry } from './registry.ts';
export { remoteFetch } from './remote/host.ts';
export type { Channel } from './remote/peer.ts';
export { digestOf, type Image, image } from './storage.ts';
export { activate, allow, canary, createTap, type Leak, type Tap } from './tap.ts';
export type { ErrorShape, TokenOptions } from './token-endpoint.ts';
export { startTokenServer, type TokenServer, type TokenServerOptions } from './token-server.ts';
