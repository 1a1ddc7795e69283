/** Where masters keep what a successor must know, and who of them leads. */
export { EtcdStore } from './etcd-store.js';
export { FileStore, forgetMasters } from './file-store.js';
export { inHands, isSamePool, type MasterState, toFence } from './state.js';
export type { Store, Term } from './store.js';
