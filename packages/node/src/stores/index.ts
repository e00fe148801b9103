export { type FileTokenStore, type FileTokenStoreOptions, fileTokenStore, type StoredToken } from './file.ts';
