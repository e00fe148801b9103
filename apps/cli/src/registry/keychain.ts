/** All that the command uses of `@reg/node/credentials`: a bundle keeps the whole of what it loads late. */

export { defaultKeychain } from '@reg/node/credentials';
