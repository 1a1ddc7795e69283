/** Where masters keep what a successor must know, and who of them leads. */
export { EtcdStore } from './etcd-store.js';
export { FileStore, forgetMasters } from './file-store.js';
export { isSamePool, type MasterState } from './state.js';
export type { Store, Term } from './store.js';
