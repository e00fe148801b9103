export { type DiagnoseCorsOptions, diagnoseCors } from './cors/diagnose.ts';
export type {
  CorsAsk,
  CorsDiagnosis,
  CorsFix,
  CorsFixes,
  CorsProbe,
  CorsServer,
  CorsVerdict,
} from './cors/diagnosis.ts';
export { createRegistryFetch } from './fetch.ts';
export type { RegistryFetchOptions } from './options.ts';
export { type SessionTokenStore, sessionTokenStore } from './session.ts';
