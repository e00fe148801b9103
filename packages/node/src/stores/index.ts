export type { Holder } from './entry.ts';
export { type FileTokenStore, type FileTokenStoreOptions, fileTokenStore, type StoredToken } from './file.ts';
